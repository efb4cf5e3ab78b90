#![no_main]

use barnabas::protocol::messages::metadata::MetadataRequest;

barnabas_fuzz::message_target!(Metadata, MetadataRequest);
