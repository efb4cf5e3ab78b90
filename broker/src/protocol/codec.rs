//! Reads and writes Kafka's wire types, in the classic and the flexible (KIP-482) encoding.
//!
//! - A `Decoder` borrows: strings and bytes point into the request's buffer.
//! - A `Decoder` is bounded: a length is checked against the bytes that remain before anything is allocated, and all
//!   arrays of one message together may take at most [`ALLOCATION_FACTOR`] times the bytes that arrived.
//! - Both know the version and whether it is flexible, so that a message's definition names each field once.
//!
//! Deliberately absent: unknown tagged fields are skipped, not kept. A broker has no use for them.

use std::borrow::Cow;

/// How many bytes the arrays of a decoded message may take for each byte that arrived.
/// The worst honest message (Metadata v0 asking for topics of one letter) takes 14.
pub const ALLOCATION_FACTOR: usize = 32;

/// The longest string of a message, in bytes: in every version, because the classic encoding has 16 bits for it.
pub const STRING_BYTES_MAX: usize = i16::MAX as usize;

/// A string of a message: borrowed when decoded, owned or static when a response is made.
pub type Str<'a> = Cow<'a, str>;

/// Bytes of a message that the broker does not look into.
pub type Blob<'a> = Cow<'a, [u8]>;

/// Why bytes are not the message they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("the message ends too early")]
    Truncated,
    #[error("a length of {0} where none below zero is allowed")]
    NegativeLength(i32),
    #[error("a null where this version knows none")]
    Null,
    #[error("a string of {0} bytes, above {STRING_BYTES_MAX}")]
    StringTooLong(usize),
    #[error("a varint of more than its type's bits")]
    VarintTooLong,
    #[error("a string that is not UTF-8")]
    NotUtf8,
    #[error("arrays that would take more than {ALLOCATION_FACTOR} times the bytes that arrived")]
    TooManyElements,
    #[error("a tagged field {tag} that does not fill its {size} bytes")]
    TaggedFieldSize { tag: u32, size: usize },
    #[error("{0} bytes behind the end of the message")]
    TrailingBytes(usize),
}

pub type Result<T> = std::result::Result<T, DecodeError>;

/// One value as Kafka writes it, in the version that the decoder or encoder was made for.
pub trait Wire<'a>: Sized {
    fn read(decoder: &mut Decoder<'a>) -> Result<Self>;
    fn write(&self, encoder: &mut Encoder);

    /// The value as an error code, where it can be one.
    fn error_code(&self) -> i16 {
        0
    }
}

/// A type whose absence has an encoding of its own (a length of -1, a marker before a struct).
pub trait Nullable<'a>: Sized {
    fn read_nullable(decoder: &mut Decoder<'a>) -> Result<Option<Self>>;
    fn write_nullable(this: Option<&Self>, encoder: &mut Encoder);
}

/// Reads the values of one message from borrowed bytes.
#[derive(Clone, Debug)]
pub struct Decoder<'a> {
    rest: &'a [u8],
    budget: usize,
    version: i16,
    flexible: bool,
}

impl<'a> Decoder<'a> {
    pub fn new(bytes: &'a [u8], version: i16, flexible: bool) -> Self {
        Decoder { rest: bytes, budget: bytes.len().saturating_mul(ALLOCATION_FACTOR), version, flexible }
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn flexible(&self) -> bool {
        self.flexible
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Errors: `TrailingBytes` if anything is left.
    pub fn finish(&self) -> Result<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::TrailingBytes(self.rest.len())) }
    }

    pub fn take(&mut self, count: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn take_array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// An unsigned varint of at most 32 bits (KIP-482).
    pub fn unsigned_varint(&mut self) -> Result<u32> {
        u32::try_from(self.unsigned_varlong(5)?).map_err(|_| DecodeError::VarintTooLong)
    }

    /// A zigzag-encoded varint of at most 32 bits, as in the records of a batch.
    pub fn varint(&mut self) -> Result<i32> {
        let raw = self.unsigned_varint()?;
        Ok((raw >> 1) as i32 ^ -((raw & 1) as i32))
    }

    /// A zigzag-encoded varint of at most 64 bits, as in the records of a batch.
    pub fn varlong(&mut self) -> Result<i64> {
        let raw = self.unsigned_varlong(10)?;
        Ok((raw >> 1) as i64 ^ -((raw & 1) as i64))
    }

    fn unsigned_varlong(&mut self, bytes_max: usize) -> Result<u64> {
        let mut value = 0u64;
        for index in 0..bytes_max {
            let [byte] = self.take_array::<1>()?;
            let bits = u64::from(byte & 0x7f);
            if index == 9 && bits > 1 {
                return Err(DecodeError::VarintTooLong);
            }
            value |= bits << (7 * index);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::VarintTooLong)
    }

    /// A length before an array or bytes; `None` is null, which every negative length is to Kafka.
    fn length(&mut self) -> Result<Option<usize>> {
        if self.flexible {
            return Ok((self.unsigned_varint()? as usize).checked_sub(1));
        }
        i32::read(self).map(|length| usize::try_from(length).ok())
    }

    /// A length before a string, which is shorter in the classic encoding; `None` is null.
    fn string_length(&mut self) -> Result<Option<usize>> {
        if !self.flexible {
            return i16::read(self).map(|length| usize::try_from(length).ok());
        }
        match self.length()? {
            Some(length) if length > STRING_BYTES_MAX => Err(DecodeError::StringTooLong(length)),
            length => Ok(length),
        }
    }

    fn elements<T: Wire<'a>>(&mut self, count: usize) -> Result<Vec<T>> {
        if count > self.rest.len() {
            return Err(DecodeError::Truncated);
        }
        let bytes = count.saturating_mul(size_of::<T>());
        self.budget = self.budget.checked_sub(bytes).ok_or(DecodeError::TooManyElements)?;
        let mut elements = Vec::with_capacity(count);
        for _ in 0..count {
            elements.push(T::read(self)?);
        }
        Ok(elements)
    }

    /// The tagged fields at the end of a flexible struct: `known` reads the value of a tag it knows and says so.
    pub fn tagged_fields(&mut self, mut known: impl FnMut(&mut Decoder<'a>, u32) -> Result<bool>) -> Result<()> {
        for _ in 0..self.unsigned_varint()? {
            let tag = self.unsigned_varint()?;
            let size = self.unsigned_varint()? as usize;
            let mut field = Decoder { rest: self.take(size)?, ..*self };
            let read = known(&mut field, tag)?;
            self.budget = field.budget;
            if read && !field.rest.is_empty() {
                return Err(DecodeError::TaggedFieldSize { tag, size });
            }
        }
        Ok(())
    }
}

/// Writes the values of one message, leaving holes for bytes that the connection sends from a file.
#[derive(Clone, Debug)]
pub struct Encoder {
    bytes: Vec<u8>,
    version: i16,
    flexible: bool,
    holes: Vec<Hole>,
    errors: Vec<i16>,
}

/// A place in an encoded message where `length` bytes from elsewhere belong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hole {
    pub position: usize,
    pub length: usize,
}

impl Encoder {
    pub fn new(bytes: Vec<u8>, version: i16, flexible: bool) -> Self {
        Encoder { bytes, version, flexible, holes: Vec::new(), errors: Vec::new() }
    }

    pub fn version(&self) -> i16 {
        self.version
    }

    pub fn flexible(&self) -> bool {
        self.flexible
    }

    pub fn finish(self) -> (Vec<u8>, Vec<Hole>) {
        (self.bytes, self.holes)
    }

    /// The error codes written so far, each once: what metrics count.
    pub fn errors(&self) -> &[i16] {
        &self.errors
    }

    pub fn note_error(&mut self, code: i16) {
        if code != 0 && !self.errors.contains(&code) {
            self.errors.push(code);
        }
    }

    pub fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub fn put_unsigned_varint(&mut self, value: u32) {
        self.put_unsigned_varlong(u64::from(value));
    }

    pub fn put_varint(&mut self, value: i32) {
        self.put_unsigned_varlong(u64::from(((value << 1) ^ (value >> 31)) as u32));
    }

    pub fn put_varlong(&mut self, value: i64) {
        self.put_unsigned_varlong(((value << 1) ^ (value >> 63)) as u64);
    }

    fn put_unsigned_varlong(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.bytes.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.bytes.push(value as u8);
    }

    fn put_length(&mut self, length: Option<usize>) {
        if self.flexible {
            self.put_unsigned_varint(length.map_or(0, |length| u32::try_from(length + 1).expect("below 4 GiB")));
        } else {
            length.map_or(-1, |length| i32::try_from(length).expect("below 2 GiB")).write(self);
        }
    }

    fn put_string_length(&mut self, length: Option<usize>) {
        if self.flexible {
            self.put_length(length);
        } else {
            length.map_or(-1, |length| i16::try_from(length).expect("strings are cut before")).write(self);
        }
    }

    fn put_hole(&mut self, length: usize) {
        self.holes.push(Hole { position: self.bytes.len(), length });
    }

    /// The tagged fields at the end of a flexible struct, in the order of their tags.
    pub fn put_tagged_fields(&mut self, fields: &[(u32, Vec<u8>)]) {
        self.put_unsigned_varint(fields.len() as u32);
        for (tag, bytes) in fields {
            self.put_unsigned_varint(*tag);
            self.put_unsigned_varint(bytes.len() as u32);
            self.put(bytes);
        }
    }

    /// Encodes one value apart, in this encoder's version: the value of a tagged field.
    pub fn apart<'a>(&self, value: &impl Wire<'a>) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), self.version, self.flexible);
        value.write(&mut encoder);
        assert!(encoder.holes.is_empty(), "no tagged field holds records");
        encoder.bytes
    }
}

/// Whether a tagged field must be written: at its default it is left out.
pub fn differs<T: PartialEq>(value: &T, default: T) -> bool {
    *value != default
}

/// What is written for a null in a version that knows none: the empty string or array.
pub fn empty_of<T: Default>(_: &Option<T>) -> Option<T> {
    Some(T::default())
}

/// Record batches in a message: borrowed from it, or (in a Fetch response) bytes that the connection sends from a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Records<'a> {
    Inline(Blob<'a>),
    Elsewhere { length: usize },
}

impl Default for Records<'_> {
    fn default() -> Self {
        Records::Inline(Blob::default())
    }
}

/// Kafka's UUID: 16 bytes, shown as URL-safe base64 without padding.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uuid(pub [u8; 16]);

impl Uuid {
    pub const ZERO: Uuid = Uuid([0; 16]);

    pub fn is_zero(&self) -> bool {
        *self == Uuid::ZERO
    }

    /// A random version-4 UUID that Kafka also takes on a command line: not one of the few reserved small numbers, and
    /// not beginning with a dash. `random` is 16 random bytes.
    pub fn from_random(mut random: [u8; 16]) -> Uuid {
        random[6] = random[6] & 0x0f | 0x40;
        random[8] = random[8] & 0x3f | 0x80;
        if random[0] >> 2 == 0x3e {
            random[0] &= 0x7f;
        }
        Uuid(random)
    }

    pub fn parse(text: &str) -> Option<Uuid> {
        use base64::Engine;
        let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Uuid)
    }
}

impl std::fmt::Display for Uuid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use base64::Engine;
        formatter.write_str(&base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl std::fmt::Debug for Uuid {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{self}")
    }
}

macro_rules! wire_numbers {
    ($($number:ty $(, $error_code:ident)?;)*) => { $(
        impl Wire<'_> for $number {
            fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
                decoder.take_array().map(<$number>::from_be_bytes)
            }

            fn write(&self, encoder: &mut Encoder) {
                encoder.put(&self.to_be_bytes());
            }

            $(fn $error_code(&self) -> i16 {
                *self
            })?
        }
    )* };
}

wire_numbers!(i8; i16, error_code; u16; i32; u32; i64; f64;);

impl Wire<'_> for bool {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
        i8::read(decoder).map(|byte| byte != 0)
    }

    fn write(&self, encoder: &mut Encoder) {
        i8::from(*self).write(encoder);
    }
}

impl Wire<'_> for Uuid {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
        decoder.take_array().map(Uuid)
    }

    fn write(&self, encoder: &mut Encoder) {
        encoder.put(&self.0);
    }
}

/// What of `text` a message can hold. Whatever a client sent fits; an error message that quotes it may not.
fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(STRING_BYTES_MAX)]
}

impl<'a> Nullable<'a> for Str<'a> {
    fn read_nullable(decoder: &mut Decoder<'a>) -> Result<Option<Self>> {
        let Some(length) = decoder.string_length()? else { return Ok(None) };
        let text = std::str::from_utf8(decoder.take(length)?).map_err(|_| DecodeError::NotUtf8)?;
        Ok(Some(Cow::Borrowed(text)))
    }

    fn write_nullable(this: Option<&Self>, encoder: &mut Encoder) {
        let text = this.map(|text| cut(text));
        encoder.put_string_length(text.map(str::len));
        encoder.put(text.unwrap_or_default().as_bytes());
    }
}

impl<'a> Nullable<'a> for Blob<'a> {
    fn read_nullable(decoder: &mut Decoder<'a>) -> Result<Option<Self>> {
        let Some(length) = decoder.length()? else { return Ok(None) };
        decoder.take(length).map(|bytes| Some(Cow::Borrowed(bytes)))
    }

    fn write_nullable(this: Option<&Self>, encoder: &mut Encoder) {
        encoder.put_length(this.map(|bytes| bytes.len()));
        encoder.put(this.map_or(&[], |bytes| bytes));
    }
}

impl<'a> Nullable<'a> for Records<'a> {
    fn read_nullable(decoder: &mut Decoder<'a>) -> Result<Option<Self>> {
        Ok(Blob::read_nullable(decoder)?.map(Records::Inline))
    }

    fn write_nullable(this: Option<&Self>, encoder: &mut Encoder) {
        match this {
            None => encoder.put_length(None),
            Some(Records::Inline(bytes)) => Blob::write_nullable(Some(bytes), encoder),
            Some(Records::Elsewhere { length }) => {
                encoder.put_length(Some(*length));
                encoder.put_hole(*length);
            }
        }
    }
}

impl<'a, T: Wire<'a>> Nullable<'a> for Vec<T> {
    fn read_nullable(decoder: &mut Decoder<'a>) -> Result<Option<Self>> {
        let Some(count) = decoder.length()? else { return Ok(None) };
        decoder.elements(count).map(Some)
    }

    fn write_nullable(this: Option<&Self>, encoder: &mut Encoder) {
        encoder.put_length(this.map(Vec::len));
        for element in this.into_iter().flatten() {
            element.write(encoder);
        }
    }
}

impl<'a, T: Nullable<'a>> Wire<'a> for Option<T> {
    fn read(decoder: &mut Decoder<'a>) -> Result<Self> {
        T::read_nullable(decoder)
    }

    fn write(&self, encoder: &mut Encoder) {
        T::write_nullable(self.as_ref(), encoder);
    }
}

macro_rules! wire_never_null {
    ($($(for $element:ident)? in $type:ty),*) => { $(
        impl<'a $(, $element: Wire<'a>)?> Wire<'a> for $type {
            fn read(decoder: &mut Decoder<'a>) -> Result<Self> {
                Self::read_nullable(decoder)?.ok_or(DecodeError::Null)
            }

            fn write(&self, encoder: &mut Encoder) {
                Self::write_nullable(Some(self), encoder);
            }
        }
    )* };
}

wire_never_null!(in Str<'a>, in Blob<'a>, in Records<'a>, for T in Vec<T>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_longer_than_what_arrived_allocates_nothing() {
        let bytes = [0x7f, 0xff, 0xff, 0xff, 1, 2, 3];
        assert_eq!(Vec::<i64>::read(&mut Decoder::new(&bytes, 0, false)), Err(DecodeError::Truncated));
    }

    #[test]
    fn nested_arrays_share_one_budget() {
        let mut bytes = vec![0, 0, 0, 100];
        bytes.extend([0; 400]);
        assert!(Vec::<Vec<i32>>::read(&mut Decoder::new(&bytes, 0, false)).is_ok());
        let bytes = [[0, 0, 4, 0].as_slice(), &[1; 1024]].concat();
        assert_eq!(Vec::<[u64; 8]>::read(&mut Decoder::new(&bytes, 0, false)), Err(DecodeError::TooManyElements));
    }

    impl Wire<'_> for [u64; 8] {
        fn read(decoder: &mut Decoder<'_>) -> Result<Self> {
            i8::read(decoder).map(|byte| [byte as u64; 8])
        }

        fn write(&self, _: &mut Encoder) {}
    }

    #[test]
    fn zigzag_varints_round_trip_at_their_limits() {
        for value in [0, -1, 1, i64::MIN, i64::MAX, i64::from(i32::MIN)] {
            let mut encoder = Encoder::new(Vec::new(), 0, true);
            encoder.put_varlong(value);
            let (bytes, _) = encoder.finish();
            assert_eq!(Decoder::new(&bytes, 0, true).varlong(), Ok(value));
        }
    }

    #[test]
    fn a_varint_that_never_ends_is_refused() {
        assert_eq!(Decoder::new(&[0xff; 20], 0, true).varlong(), Err(DecodeError::VarintTooLong));
        assert_eq!(Decoder::new(&[0xff; 20], 0, true).unsigned_varint(), Err(DecodeError::VarintTooLong));
    }

    #[test]
    fn a_string_above_32767_bytes_is_refused_in_both_encodings() {
        let mut encoder = Encoder::new(Vec::new(), 0, true);
        encoder.put_unsigned_varint(32_769);
        encoder.put(&[b'a'; 40_000]);
        let (bytes, _) = encoder.finish();
        assert_eq!(Str::read(&mut Decoder::new(&bytes, 0, true)), Err(DecodeError::StringTooLong(32_768)));
        assert_eq!(Str::read(&mut Decoder::new(&[0x80, 0], 0, false)), Err(DecodeError::Null));
    }

    #[test]
    fn a_string_too_long_to_be_written_is_cut_before_the_character_that_does_not_fit() {
        let text = Str::from(format!("{}ß", "a".repeat(32_766)));
        for flexible in [false, true] {
            let mut encoder = Encoder::new(Vec::new(), 0, flexible);
            text.write(&mut encoder);
            let (bytes, _) = encoder.finish();
            assert_eq!(Str::read(&mut Decoder::new(&bytes, 0, flexible)), Ok(Str::from("a".repeat(32_766))));
        }
    }

    #[test]
    fn every_negative_length_is_null() {
        assert_eq!(Option::<Str>::read(&mut Decoder::new(&[0xff, 0xfe], 0, false)), Ok(None));
        assert_eq!(Option::<Blob>::read(&mut Decoder::new(&[0x80, 0, 0, 0], 0, false)), Ok(None));
        assert_eq!(Vec::<i8>::read(&mut Decoder::new(&[0xff; 4], 0, false)), Err(DecodeError::Null));
    }

    #[test]
    fn a_uuid_shows_as_kafka_shows_it() {
        assert_eq!(Uuid([0; 16]).to_string(), "AAAAAAAAAAAAAAAAAAAAAA");
        assert_eq!(Uuid::parse("AAAAAAAAAAAAAAAAAAAAAA"), Some(Uuid::ZERO));
    }
}
