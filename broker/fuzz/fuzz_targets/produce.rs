#![no_main]

use barnabas::protocol::messages::produce::ProduceRequest;

barnabas_fuzz::message_target!(Produce, ProduceRequest);
