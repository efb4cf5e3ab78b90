//! References in values, `${provider:path:key}` and `${provider:key}`, found as Apache Kafka's `ConfigTransformer` finds
//! them: by `\$\{([^}]*?):(([^}]*?):)?([^}]*?)\}`. Nothing is trimmed, and what took a reference's place is not looked at
//! again. The path ends at the colon behind it, so neither provider nor path can hold one; a key can, behind a path.

/// One reference, as it stands in a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reference<'a> {
    /// The whole of it.
    pub text: &'a str,
    pub provider: &'a str,
    /// Empty where there is none.
    pub path: &'a str,
    pub key: &'a str,
}

impl<'a> Reference<'a> {
    /// Of `text`, the whole of a reference or of something that looks like one up to its colons.
    fn of(text: &'a str) -> Option<Reference<'a>> {
        let (provider, rest) = text.strip_prefix("${")?.strip_suffix('}')?.split_once(':')?;
        let (path, key) = rest.split_once(':').unwrap_or(("", rest));
        Some(Reference { text, provider, path, key })
    }
}

/// `text` with what `look_up` gives in the place of each reference; one that it gives nothing for stays.
/// Errors: those of `look_up`.
pub fn replace<E>(
    text: &str,
    mut look_up: impl FnMut(&Reference<'_>) -> Result<Option<String>, E>,
) -> Result<String, E> {
    let (mut replaced, mut rest) = (String::new(), text);
    // A reference ends at the first brace behind its begin. One without a colon is none, and nothing inside it can be.
    while let Some(begin) = rest.find("${") {
        let Some(length) = rest[begin..].find('}') else { break };
        let (before, (candidate, behind)) = (&rest[..begin], rest[begin..].split_at(length + 1));
        replaced.push_str(before);
        let found = Reference::of(candidate).map(|reference| look_up(&reference)).transpose()?.flatten();
        replaced.push_str(found.as_deref().unwrap_or(candidate));
        rest = behind;
    }
    replaced.push_str(rest);
    Ok(replaced)
}

#[cfg(test)]
#[path = "references_vectors.rs"]
mod vectors;

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::vectors::VECTORS;
    use super::*;

    #[test]
    fn references_are_found_where_kafka_finds_them() {
        for (text, expected) in VECTORS {
            let only_p = |reference: &Reference<'_>| {
                let value = || format!("<{}|{}>", reference.path, reference.key);
                Ok::<_, Infallible>((reference.provider == "p").then(value))
            };
            assert_eq!(replace(text, only_p), Ok(expected.to_string()), "{text:?}");
        }
    }

    #[test]
    fn what_cannot_be_looked_up_ends_it() {
        let fails = |reference: &Reference<'_>| Err(reference.text.to_owned());
        assert_eq!(replace("a ${p:k} b", fails), Err("${p:k}".to_owned()));
        assert_eq!(replace("no reference ${p}", fails), Ok("no reference ${p}".to_owned()));
    }
}
