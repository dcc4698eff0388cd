//! Whom the provider vouches for.
//!
//! Promises an address that the provider says is verified, in lower case, of an allowed domain. Never takes an address
//! that only resembles another.

use openidconnect::{EndUserEmail, EndUserName, LocalizedClaim};

use super::failed::Failed;
use crate::domain::person::Email;

/// A person that the provider vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Vouched {
    /// Who vouches.
    pub(crate) issuer: String,
    /// What the provider calls the person: the same for ever.
    pub(crate) subject: String,
    /// Verified, and of an allowed domain.
    pub(crate) email: Email,
    /// What the provider says they are called.
    pub(crate) name: Option<String>,
}

/// The words of the provider about a person that matter here: those of one document, never mixed from two.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) email: Option<String>,
    pub(super) verified: Option<bool>,
    pub(super) name: Option<String>,
}

impl Said {
    pub(super) fn of(
        email: Option<&EndUserEmail>,
        verified: Option<bool>,
        name: Option<&LocalizedClaim<EndUserName>>,
    ) -> Said {
        Said {
            email: email.map(|email| email.as_str().to_owned()),
            verified,
            name: name.and_then(|name| name.get(None)).map(|name| name.as_str().to_owned()),
        }
    }

    /// The address, if it is the person's and may come in.
    pub(super) fn email(&self, allowed_domains: &[String]) -> Result<Email, Failed> {
        let written = self.email.as_deref().ok_or(Failed::NoEmail)?;
        // Some letters beyond ASCII become ASCII in lower case (the Kelvin sign a `k`): who owns one address would
        // come in as another.
        if written.to_lowercase() != written.to_ascii_lowercase() {
            return Err(Failed::NoEmail);
        }
        let email: Email = written.parse().map_err(|_| Failed::NoEmail)?;
        if self.verified != Some(true) {
            return Err(Failed::EmailUnverified);
        }
        if !allowed_domains.is_empty() && !allowed_domains.iter().any(|domain| domain == email.host()) {
            return Err(Failed::DomainNotAllowed);
        }
        Ok(email)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(email: &str, verified: Option<bool>, allowed: &[&str]) -> Result<String, String> {
        let said = Said { email: Some(email.to_owned()), verified, name: None };
        let allowed: Vec<String> = allowed.iter().map(|domain| (*domain).to_owned()).collect();
        said.email(&allowed).map(|email| email.as_str().to_owned()).map_err(|failed| format!("{failed:?}"))
    }

    #[test]
    fn an_address_comes_in_if_it_is_verified_and_its_domain_is_allowed() {
        assert_eq!(email("Ada@Example.COM", Some(true), &["example.com"]).as_deref(), Ok("ada@example.com"));
        assert!(email("ada@anywhere.example", Some(true), &[]).is_ok());
        for unverified in [None, Some(false)] {
            assert_eq!(email("ada@example.com", unverified, &[]), Err("EmailUnverified".into()));
        }
        for other in ["ada@eu.example.com", "ada@notexample.com", "ada@example.com.evil.example"] {
            assert_eq!(email(other, Some(true), &["example.com"]), Err("DomainNotAllowed".into()), "{other}");
        }
        for none in
            ["", "ada", "a@evil.example@example.com", "jac\u{212a}@example.com", "ada@e\u{212a}ample.com"]
        {
            assert_eq!(email(none, Some(true), &["example.com"]), Err("NoEmail".into()), "{none}");
        }
    }
}
