#![no_main]

use barnabas::protocol::messages::offset_commit::OffsetCommitRequest;

barnabas_fuzz::message_target!(OffsetCommit, OffsetCommitRequest);
