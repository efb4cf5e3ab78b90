#![no_main]

use barnabas::protocol::messages::join_group::JoinGroupRequest;

barnabas_fuzz::message_target!(JoinGroup, JoinGroupRequest);
