//! What scripts answer: a word that says how it went, then what was asked for.
//!
//! Promises that an answer of any other form is an error and nothing else.

use std::str::FromStr;

use redis::Value;

use crate::fleet::hub::HubError;

/// The rest of an answer whose word was `ok`.
#[derive(Debug)]
pub(crate) struct Answer(std::vec::IntoIter<Value>);

impl Answer {
    /// Reads the word.
    ///
    /// # Errors
    /// What the word says, if it is not `ok`.
    pub(crate) fn read(value: Value) -> Result<Answer, HubError> {
        let Value::Array(values) = value else { return Err(strange()) };
        let mut answer = Answer(values.into_iter());
        match answer.text()?.as_str() {
            "ok" => Ok(answer),
            "unvouched" => Err(HubError::Unvouched),
            "superseded" => Err(HubError::Superseded),
            "order" => Err(HubError::OutOfOrder { at: answer.number()? }),
            "full" => Err(HubError::Refused("usage is backed up".into())),
            "left" => Err(HubError::Refused("this gateway has left the fleet".into())),
            "evicts" => Err(HubError::Refused(
                "its maxmemory-policy throws away keys without expiry: set it to noeviction".into(),
            )),
            _ => Err(strange()),
        }
    }

    /// Whether nothing is left.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.len() == 0
    }

    /// The next one, as bytes.
    pub(crate) fn bytes(&mut self) -> Result<Vec<u8>, HubError> {
        match self.0.next() {
            Some(Value::BulkString(bytes)) => Ok(bytes),
            Some(Value::SimpleString(text)) => Ok(text.into_bytes()),
            Some(Value::Int(number)) => Ok(number.to_string().into_bytes()),
            _ => Err(strange()),
        }
    }

    /// The next one, as text.
    pub(crate) fn text(&mut self) -> Result<String, HubError> {
        String::from_utf8(self.bytes()?).map_err(|_| strange())
    }

    /// The next one, read from its text.
    pub(crate) fn parsed<T: FromStr>(&mut self) -> Result<T, HubError> {
        self.text()?.parse().map_err(|_| strange())
    }

    /// The next one, as a number.
    pub(crate) fn number(&mut self) -> Result<u64, HubError> {
        self.parsed()
    }
}

/// An answer that no script of ours gives.
pub(super) fn strange() -> HubError {
    HubError::Foreign("an answer of another form".into())
}
