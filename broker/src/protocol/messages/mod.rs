//! Every message that the broker reads or writes: one file for each API, as tables of fields.
//!
//! A field stands in the order of the wire with Kafka's name. `[4..]`, `[..=14]`, `[2..=5]` are the versions it exists in
//! (all, where nothing is said), `[tag 1, 12..]` makes it a tagged field (KIP-482), `[null 7..]` or `[null 2.., ..=7]` a
//! field that may be null since that version and is empty instead before, `= value` is its default where that is not zero,
//! empty or null. The facts are Kafka's own message definitions (`common/message/*.json` in kafka-clients);
//! the tests compare every message in every version with an independent implementation.

macro_rules! messages {
    ($(
        $(#[$meta:meta])*
        $name:ident $(<$lt:lifetime>)? {
            $( $field:ident : $ty:ty $([$($spec:tt)+])? $(= $default:expr)? ),* $(,)?
        }
    )*) => { $(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name $(<$lt>)? { $( pub $field: $ty ),* }

        #[allow(clippy::derivable_impls)]
        impl $(<$lt>)? Default for $name $(<$lt>)? {
            fn default() -> Self {
                $name { $( $field: $crate::protocol::messages::default_of!($($default)?) ),* }
            }
        }

        $crate::protocol::messages::wire_struct! { $name $(<$lt>)? { $( $field [$($($spec)+)?] [$($default)?] )* } }
    )* };
}

macro_rules! wire_struct {
    ($name:ident { $($fields:tt)* }) => {
        impl<'a> $crate::protocol::codec::Wire<'a> for $name {
            $crate::protocol::messages::wire_functions! { $($fields)* }
        }
        $crate::protocol::messages::nullable_struct! { $name }
    };
    ($name:ident <$lt:lifetime> { $($fields:tt)* }) => {
        impl<'a> $crate::protocol::codec::Wire<'a> for $name<'a> {
            $crate::protocol::messages::wire_functions! { $($fields)* }
        }
        $crate::protocol::messages::nullable_struct! { $name<'a> }
    };
}

macro_rules! wire_functions {
    ($( $field:ident [$($spec:tt)*] [$($default:expr)?] )*) => {
        fn read(decoder: &mut $crate::protocol::codec::Decoder<'a>) -> $crate::protocol::codec::Result<Self> {
            #[allow(unused_mut)]
            let mut message = Self::default();
            $( $crate::protocol::messages::read_field!(decoder, message.$field, [$($spec)*]); )*
            if decoder.flexible() {
                #[allow(unused_variables)]
                decoder.tagged_fields(|decoder, tag| {
                    $( $crate::protocol::messages::read_tagged!(decoder, tag, message.$field, [$($spec)*]); )*
                    Ok(false)
                })?;
            }
            Ok(message)
        }

        fn write(&self, encoder: &mut $crate::protocol::codec::Encoder) {
            $(
                $crate::protocol::messages::write_field!(encoder, self.$field, [$($spec)*]);
                if stringify!($field) == "error_code" {
                    encoder.note_error($crate::protocol::codec::Wire::error_code(&self.$field));
                }
            )*
            if encoder.flexible() {
                #[allow(unused_mut)]
                let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
                $( $crate::protocol::messages::write_tagged!(encoder, tagged, self.$field, [$($spec)*], [$($default)?]); )*
                tagged.sort_by_key(|(tag, _)| *tag);
                encoder.put_tagged_fields(&tagged);
            }
        }
    };
}

macro_rules! nullable_struct {
    ($ty:ty) => {
        impl<'a> $crate::protocol::codec::Nullable<'a> for $ty {
            fn read_nullable(
                decoder: &mut $crate::protocol::codec::Decoder<'a>,
            ) -> $crate::protocol::codec::Result<Option<Self>> {
                use $crate::protocol::codec::Wire;
                if i8::read(decoder)? < 0 { Ok(None) } else { Self::read(decoder).map(Some) }
            }

            fn write_nullable(this: Option<&Self>, encoder: &mut $crate::protocol::codec::Encoder) {
                use $crate::protocol::codec::Wire;
                (if this.is_some() { 1i8 } else { -1i8 }).write(encoder);
                if let Some(this) = this {
                    this.write(encoder);
                }
            }
        }
    };
}

macro_rules! default_of {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

macro_rules! read_field {
    ($decoder:ident, $place:expr, []) => {
        $place = $crate::protocol::codec::Wire::read($decoder)?
    };
    ($decoder:ident, $place:expr, [tag $tag:literal, $($versions:tt)+]) => {};
    ($decoder:ident, $place:expr, [null $first:literal.. $(, $($versions:tt)+)?]) => {
        $crate::protocol::messages::read_field!($decoder, $place, [$($($versions)+)?]);
        if $place.is_none() && $decoder.version() < $first {
            return Err($crate::protocol::codec::DecodeError::Null);
        }
    };
    ($decoder:ident, $place:expr, [$($versions:tt)+]) => {
        if ($($versions)+).contains(&$decoder.version()) {
            $place = $crate::protocol::codec::Wire::read($decoder)?
        }
    };
}

macro_rules! read_tagged {
    ($decoder:ident, $tag:ident, $place:expr, [tag $number:literal, $($versions:tt)+]) => {
        if $tag == $number && ($($versions)+).contains(&$decoder.version()) {
            $place = $crate::protocol::codec::Wire::read($decoder)?;
            return Ok(true);
        }
    };
    ($decoder:ident, $tag:ident, $place:expr, [$($versions:tt)*]) => {};
}

macro_rules! write_field {
    ($encoder:ident, $place:expr, []) => {
        $crate::protocol::codec::Wire::write(&$place, $encoder)
    };
    ($encoder:ident, $place:expr, [tag $tag:literal, $($versions:tt)+]) => {};
    ($encoder:ident, $place:expr, [null $first:literal.. $(, $($versions:tt)+)?]) => {
        if $place.is_none() && $encoder.version() < $first {
            let empty = $crate::protocol::codec::empty_of(&$place);
            $crate::protocol::messages::write_field!($encoder, empty, [$($($versions)+)?])
        } else {
            $crate::protocol::messages::write_field!($encoder, $place, [$($($versions)+)?])
        }
    };
    ($encoder:ident, $place:expr, [$($versions:tt)+]) => {
        if ($($versions)+).contains(&$encoder.version()) {
            $crate::protocol::codec::Wire::write(&$place, $encoder)
        }
    };
}

macro_rules! write_tagged {
    ($encoder:ident, $tagged:ident, $place:expr, [tag $number:literal, $($versions:tt)+], [$($default:expr)?]) => {
        if ($($versions)+).contains(&$encoder.version())
            && $crate::protocol::codec::differs(&$place, $crate::protocol::messages::default_of!($($default)?))
        {
            $tagged.push(($number, $encoder.apart(&$place)));
        }
    };
    ($encoder:ident, $tagged:ident, $place:expr, [$($versions:tt)*], [$($default:expr)?]) => {};
}

use {
    default_of, messages, nullable_struct, read_field, read_tagged, wire_functions, wire_struct, write_field,
    write_tagged,
};

pub mod allocate_producer_ids;
pub mod alter_configs;
pub mod alter_partition;
pub mod alter_partition_reassignments;
pub mod api_versions;
pub mod assign_replicas_to_dirs;
pub mod begin_quorum_epoch;
pub mod broker_heartbeat;
pub mod broker_registration;
pub mod consumer_protocol;
pub mod control_records;
pub mod controller_registration;
pub mod create_partitions;
pub mod create_topics;
pub mod delete_groups;
pub mod delete_records;
pub mod delete_topics;
pub mod describe_cluster;
pub mod describe_configs;
pub mod describe_groups;
pub mod describe_log_dirs;
pub mod describe_producers;
pub mod describe_quorum;
pub mod describe_topic_partitions;
pub mod elect_leaders;
pub mod end_quorum_epoch;
pub mod envelope;
pub mod fetch;
pub mod fetch_snapshot;
pub mod find_coordinator;
pub mod group_records;
pub mod heartbeat;
pub mod incremental_alter_configs;
pub mod init_producer_id;
pub mod join_group;
pub mod leave_group;
pub mod list_config_resources;
pub mod list_groups;
pub mod list_offsets;
pub mod list_partition_reassignments;
pub mod metadata;
pub mod metadata_records;
pub mod offset_commit;
pub mod offset_delete;
pub mod offset_fetch;
pub mod offset_for_leader_epoch;
pub mod produce;
pub mod sync_group;
pub mod unregister_broker;
pub mod update_features;
pub mod vote;
