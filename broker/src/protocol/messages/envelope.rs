//! A client's request that a broker hands to the controller, with who sent it (KIP-590).

use crate::protocol::codec::Blob;

super::messages! {
    EnvelopeRequest<'a> {
        request_data: Blob<'a>,
        request_principal: Option<Blob<'a>>,
        client_host_address: Blob<'a>,
    }

    EnvelopeResponse<'a> {
        response_data: Option<Blob<'a>>,
        error_code: i16,
    }
}
