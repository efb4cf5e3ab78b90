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
        Some(bytes) => EnvelopeResponse { response_data: Some(bytes.into()), error_code: 0 },
        None => failed(ErrorCode::InvalidRequest),
    }
}

async fn answer(rooms: &Rooms, peer: &Peer, envelope: &EnvelopeRequest<'_>) -> Option<Vec<u8>> {
    const LENGTH_BYTES: usize = 4;
    let frame = &envelope.request_data;
    let prefix = RequestPrefix::read(frame).ok()?;
    let api = ApiKey::from_code(prefix.api_key).filter(|api| api.is_forwarded() && api.answers(prefix.api_version))?;
    let inner = RequestFrame::read(api, prefix, frame).ok()?;
    let context = Context {
        version: inner.version,
        client_id: inner.client_id.as_deref().unwrap_or_default(),
        client_host: address(&envelope.client_host_address)?,
        listener: &peer.listener,
        now: now_ms(),
        is_forwarded: true,
    };
    match Box::pin(rooms.dispatch(peer, &inner, &context)).await.ok()? {
        Answer::Now(mut response) => Some(response.frame.bytes.split_off(LENGTH_BYTES)),
        Answer::Later(_) | Answer::Silence => None,
    }
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from),
        _ => None,
    }
}
