//! Records written as objects, and as nothing else.
//!
//! Serde also reads a struct from a list, field by field in the order of its declaration. That is nobody's interface,
//! and a list in the wrong place would be taken for a record that says nothing.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// What was written as an object.
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<T>, D::Error> {
        deserializer.deserialize_map(Fields(PhantomData))
    }
}

struct Fields<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(fields)).map(Object)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::limit::Limits;

    #[test]
    fn a_list_is_no_record_at_any_depth() {
        for bad in ["[]", "[null,null]", r#"{"rate":[1,"second"]}"#, r#"{"quotas":[[1,"day"]]}"#, "null", "7"]
        {
            assert!(serde_json::from_str::<Limits>(bad).is_err(), "{bad}");
        }
        let good = r#"{"rate":{"requests":1,"per":"second"},"quotas":[{"requests":1,"per":"day"}]}"#;
        assert!(serde_json::from_str::<Limits>(good).is_ok());
    }
}
