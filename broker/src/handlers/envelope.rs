//! Envelope: a client's request that a broker hands to the active controller (KIP-590).
//!
//! Behaviour: the request inside is answered as if the client had sent it here, and its answer goes back whole, header
//! included. A node that is not the active controller says NOT_CONTROLLER about the envelope, and the broker asks another.
//! Version notes: there is one version. The principal is not looked at: every client may do everything yet.

use super::{Answer, Context, Peer, Rooms, now_ms};
use crate::protocol::frame::{RequestFrame, RequestPrefix};
use crate::protocol::messages::envelope::{EnvelopeRequest, EnvelopeResponse};
use crate::protocol::{ApiKey, ErrorCode};
use std::net::IpAddr;

pub async fn handle(rooms: &Rooms, peer: &Peer, request: EnvelopeRequest<'_>) -> EnvelopeResponse<'static> {
    let failed = |code: ErrorCode| EnvelopeResponse { response_data: None, error_code: code.code() };
    if !rooms.controller.leads() {
        return failed(ErrorCode::NotController);
    }
    match answer(rooms, peer, &request).await {
        Ok(bytes) => EnvelopeResponse { response_data: Some(bytes.into()), error_code: 0 },
        Err(code) => failed(code),
    }
}

/// Errors: `InvalidRequest`, where there is no request inside that is handed on; `NotController`.
async fn answer(rooms: &Rooms, peer: &Peer, envelope: &EnvelopeRequest<'_>) -> Result<Vec<u8>, ErrorCode> {
    const LENGTH_BYTES: usize = 4;
    const INVALID: ErrorCode = ErrorCode::InvalidRequest;
    let frame = &envelope.request_data;
    let prefix = RequestPrefix::read(frame).map_err(|_| INVALID)?;
    let api = ApiKey::from_code(prefix.api_key);
    let api = api.filter(|api| api.is_forwarded() && api.answers(prefix.api_version)).ok_or(INVALID)?;
    let inner = RequestFrame::read(api, prefix, frame).map_err(|_| INVALID)?;
    let context = Context {
        version: inner.version,
        client_id: inner.client_id.as_deref().unwrap_or_default(),
        client_host: address(&envelope.client_host_address).ok_or(INVALID)?,
        listener: &peer.listener,
        now: now_ms(),
        is_forwarded: true,
    };
    match Box::pin(rooms.dispatch(peer, &inner, &context)).await.map_err(|_| INVALID)? {
        // It has ceased to lead meanwhile: the broker asks its successor.
        Answer::Now(response) if response.frame.errors.contains(&ErrorCode::NotController.code()) => {
            Err(ErrorCode::NotController)
        }
        Answer::Now(mut response) => Ok(response.frame.bytes.split_off(LENGTH_BYTES)),
        Answer::Later(_) | Answer::Silence => Err(INVALID),
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
