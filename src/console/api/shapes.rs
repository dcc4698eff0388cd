//! How the words of the domain look in JSON, for the description of the API: lengths, patterns, formats, values.
//!
//! Promises what the parsers of those types hold to. Kept here so that the domain need not know what a schema is.

use std::borrow::Cow;

use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, OneOfBuilder, SchemaFormat, Type,
};
use utoipa::openapi::{Ref, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::console::operations::NewScope;
use crate::console::view::Instant;
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, AuditId, GatewayId, KeyId, MemberId, OrganizationId, SessionId};
use crate::domain::limit::{Limits, Period, Quota, REQUESTS_MAX, Rate, Window};
use crate::domain::member::MemberRole;
use crate::domain::name::{NAME_CHARS_MAX, Name, SLUG_BYTES_MAX, Slug};
use crate::domain::person::{EMAIL_BYTES_MAX, Email};
use crate::domain::scope::Access;
use crate::domain::zone::Zone;
use crate::store::FieldChange;

/// White space that is cut from a name's ends, and control characters that it may not hold; for a class of a pattern.
const WHITE: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
const CONTROL: &str = r"\u0000-\u001f\u007f-\u009f";

/// Gives a type of the domain the name and the schema by which the description refers to it.
macro_rules! shape {
    ($($type:ty),+ => $name:literal, $schema:expr) => {$(
        impl PartialSchema for $type {
            fn schema() -> RefOr<Schema> {
                RefOr::T($schema.into())
            }
        }

        impl ToSchema for $type {
            fn name() -> Cow<'static, str> {
                Cow::Borrowed($name)
            }
        }
    )+};
}

shape!(OrganizationId, AgentId, KeyId, MemberId, SessionId, AuditId, GatewayId => "Id", text("The id of a record: a UUID of version 7. Sorting by id sorts by creation.")
    .format(Some(SchemaFormat::Custom("uuid".to_owned()))));

shape!(Name => "Name", text("1 to 64 characters of any script, without control characters. White space at its ends is cut.")
.min_length(Some(1))
// Counts what is left once white space is cut, which `maxLength` could not.
.pattern(Some(format!(
    "^[{WHITE}]*[^{WHITE}{CONTROL}]([^{CONTROL}]{{0,{}}}[^{WHITE}{CONTROL}])?[{WHITE}]*$",
    NAME_CHARS_MAX - 2
))));

shape!(Slug => "Slug", text("A name for addresses: 1 to 63 lower-case letters, digits and inner hyphens. Never of the form of an id.")
    .min_length(Some(1))
    .max_length(Some(SLUG_BYTES_MAX))
    .pattern(Some("^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")));

shape!(Instant, UnixMillis => "Instant", text("An instant in RFC 3339. Answers are in UTC with milliseconds; in requests any offset is accepted.")
    .format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))));

shape!(Zone => "TimeZone", text("The IANA name of a time zone.").format(Some(SchemaFormat::Custom("time-zone".to_owned()))));

shape!(Access => "Access", values("Which methods a key may use: every one, or `GET`, `HEAD` and `OPTIONS` only.", &["all", "read"]));

shape!(NewScope => "NewScope", OneOfBuilder::new()
    .description(Some("What a new key shall open: every agent of the organization, or one."))
    .item(closed("Every agent of the organization.").property("type", only("organization")).required("type"))
    .item(closed("One agent.")
        .property("type", only("agent"))
        .property("agent", text("Its slug or id.").min_length(Some(1)))
        .required("type")
        .required("agent"))
    .build());

shape!(MemberRole => "MemberRole", values(
    "What a member may do: everything inside the organization, or the keys of some of its agents.",
    &["organization-admin", "agent-admin"],
));

shape!(Email => "Email", text("An e-mail address. It is kept in lower case.")
    .format(Some(SchemaFormat::Custom("email".to_owned())))
    .max_length(Some(EMAIL_BYTES_MAX)));

shape!(FieldChange => "FieldChange", ObjectBuilder::new()
    .schema_type(Type::Object)
    .description(Some("A field that an action changed."))
    .property("field", text("Which, as the API calls it."))
    .property("from", optional(text("As text."), "What it was; null where it was not set."))
    .property("to", optional(text("As text."), "What it is; null where it is no longer set."))
    .required("field")
    .required("from")
    .required("to"));

shape!(Period => "Period", values("The time that a rate counts per.", &["second", "minute", "hour", "day"]));

shape!(Window => "Window", values(
    "A calendar window in the organization's time zone. Weeks begin on Monday.",
    &Window::ALL.map(Window::as_str),
));

shape!(Rate => "Rate", closed("Requests per time, with a burst.")
    .property("requests", whole("How many requests per `per`.", 1, REQUESTS_MAX))
    .property("per", reference::<Period>())
    .property("burst", optional(
        whole("At least 1.", 1, REQUESTS_MAX),
        "How many may come at once; as many as `requests` unless given. Always in answers.",
    ))
    .required("requests")
    .required("per"));

shape!(Quota => "Quota", closed("Requests per calendar window.")
    .property("requests", whole("How many requests per window; 0 refuses every request.", 0, REQUESTS_MAX))
    .property("per", reference::<Window>())
    .required("requests")
    .required("per"));

shape!(Limits => "Limits", closed("Limits of a key, or an organization's defaults for its keys. What is absent comes from the next \
  layer: the organization, then the configuration.")
.property("rate", optional(reference::<Rate>(), "Requests per time, with a burst."))
.property("concurrency", optional(whole("At least 1.", 1, u64::from(u32::MAX)), "How many requests may be in flight at once."))
.property("quotas", optional(
    ArrayBuilder::new().items(reference::<Quota>()).max_items(Some(Window::ALL.len())),
    "At most one for each window. An empty list means none, whatever the next layer says.",
)));

fn text(description: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).description(Some(description))
}

fn values(description: &str, values: &[&str]) -> ObjectBuilder {
    text(description).enum_values(Some(values.iter().copied()))
}

fn whole(description: &str, least: u64, most: u64) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
        .description(Some(description))
        .minimum(Some(least))
        .maximum(Some(most))
}

/// The value that tells one form from another.
fn only(value: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some([value]))
}

/// An object whose unknown fields are refused.
fn closed(description: &str) -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(Type::Object)
        .description(Some(description))
        .additional_properties(Some(AdditionalProperties::FreeForm(false)))
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}

/// What may also be null.
fn optional(schema: impl Into<RefOr<Schema>>, description: &str) -> Schema {
    OneOfBuilder::new()
        .description(Some(description))
        .item(ObjectBuilder::new().schema_type(Type::Null))
        .item(schema)
        .build()
        .into()
}
