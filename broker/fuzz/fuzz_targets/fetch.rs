#![no_main]

use barnabas::protocol::messages::fetch::FetchRequest;

barnabas_fuzz::message_target!(Fetch, FetchRequest);
