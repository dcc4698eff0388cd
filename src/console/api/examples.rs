//! Examples of what is sent and answered, for the description of the API. One story runs through all of them: the
//! organization Acme, its agent Echo, and a key of its nightly job.

use serde_json::{Value, json};

/// The id of the example's key.
pub(super) const KEY_ID: &str = "0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b11";
const ORGANIZATION_ID: &str = "0190b5c8-7c00-7a10-8b1f-5d2e9c7a4410";
const AGENT_ID: &str = "0190b5c8-7c9a-7d44-9f03-77b1a2c8e602";
pub(super) const MEMBER_ID: &str = "0190b5c8-80aa-7e21-a3c4-1f6b7d9e0c35";
pub(super) const SESSION_ID: &str = "0190b5c8-9b14-7f08-b6d2-90e4c1a2f377";
pub(super) const INVITATION: &str = "ksi_EXAMPLE0nly00000000000000000000000000000000000004xZp";
const CREATED_AT: &str = "2026-11-23T14:02:31.123Z";
const INVITED_UNTIL: &str = "2026-11-30T14:02:31.123Z";

/// The example of the schema called `name`.
pub(super) fn of(name: &str) -> Option<Value> {
    let example = match name {
        "NewOrganization" => {
            json!({"slug": "acme", "name": "Acme", "timeZone": "Europe/Berlin", "limits": limits()})
        }
        "OrganizationPatch" => json!({"name": "Acme Robotics", "limits": limits()}),
        "Organization" => organization(),
        "OrganizationPage" => page(&organization()),
        "NewAgent" => json!({"slug": "echo", "name": "Echo"}),
        "AgentPatch" => json!({"name": "Echo, second edition"}),
        "Agent" => agent(),
        "AgentPage" => page(&agent()),
        "NewKey" => json!({
            "name": "Nightly job", "scope": {"type": "agent", "agent": "echo"}, "access": "all",
            "expiresAt": "2029-12-31T23:00:00Z", "limits": {"concurrency": 5},
        }),
        "KeyPatch" => json!({"name": "Nightly job, Berlin", "expiresAt": null, "disabled": false}),
        "Key" => key(),
        "KeyPage" => json!({"items": [key()], "next": null, "count": 1, "cap": 10, "atCap": false}),
        "CreatedKey" => {
            json!({"key": key(), "secret": "ks_EXAMPLE0nly0000000000000000000000000000000000000000a1b2"})
        }
        "Ended" => json!({"revocation": {
            "state": "complete", "gateways": 1, "confirmed": 1, "awaiting": [], "tookMs": 3,
            "effectiveBy": CREATED_AT,
        }}),
        "Gateways" => gateways(),
        "Usage" => usage(),
        "Session" => session(),
        "Credentials" => json!({"email": "ada@acme.example", "password": "correct horse battery staple"}),
        "ProfilePatch" => json!({"name": "Ada", "timeZone": "Europe/Berlin"}),
        "PasswordChange" => {
            json!({"current": "correct horse battery staple", "new": "four other words entirely"})
        }
        "SignIns" => json!({"items": [sign_in()]}),
        "NewMember" => json!({"email": "grace@acme.example", "role": "agent-admin", "agents": ["echo"]}),
        "MemberPatch" => json!({"role": "agent-admin", "agents": ["echo"], "disabled": false}),
        "Member" => member(),
        "MemberPage" => page(&member()),
        "InvitedMember" => json!({
            "member": member(), "inviteUrl": format!("https://keys.example.com/invitations/{INVITATION}"),
        }),
        "Invitation" => json!({
            "email": "grace@acme.example", "organization": "Acme", "role": "agent-admin", "until": INVITED_UNTIL,
        }),
        "Acceptance" => json!({"password": "correct horse battery staple"}),
        "AuditLinePage" => page(&json!({
            "id": "0190b5c8-a2c0-7b55-8e19-6c0d4f3b2a18", "at": CREATED_AT, "actor": "ada@acme.example",
            "action": "key.changed", "subject": {"id": KEY_ID, "name": "Nightly job"},
            "changes": [{"field": "disabled", "from": "false", "to": "true"}],
        })),
        _ => return None,
    };
    Some(example)
}

fn page(item: &Value) -> Value {
    json!({"items": [item], "next": null})
}

fn limits() -> Value {
    json!({
        "rate": {"requests": 50, "per": "second", "burst": 100}, "concurrency": 20,
        "quotas": [{"requests": 100_000, "per": "day"}],
    })
}

fn organization() -> Value {
    json!({
        "id": ORGANIZATION_ID, "slug": "acme", "name": "Acme", "timeZone": "Europe/Berlin",
        "limits": limits(), "effectiveLimits": limits(), "createdAt": CREATED_AT,
    })
}

fn agent() -> Value {
    json!({"id": AGENT_ID, "slug": "echo", "name": "Echo", "createdAt": CREATED_AT})
}

fn key() -> Value {
    json!({
        "id": KEY_ID, "name": "Nightly job", "scope": {"type": "agent", "agent": "echo"}, "access": "all",
        "hint": "ks_…a1b2", "createdAt": CREATED_AT, "createdBy": "ksm_…Rw3T", "lastUsedAt": null,
        "expiresAt": "2029-12-31T23:00:00.000Z", "disabled": false, "limits": {"concurrency": 5},
    })
}

fn gateways() -> Value {
    json!({
        "asOf": CREATED_AT, "version": env!("CARGO_PKG_VERSION"),
        "feed": {"state": "current", "epoch": 3, "sequence": 1_204}, "gateways": 1, "serving": 1,
        "items": [{
            "id": "0190b5c8-b3f1-7c62-8d0a-4e5b6a7c8d90", "name": "gw-berlin-1", "address": "http://10.0.0.11:8080",
            "version": env!("CARGO_PKG_VERSION"), "state": "serving", "seenAt": "2026-11-23T14:02:30.871Z",
            "applied": 1_204, "lag": 0, "trust": "fresh", "generation": 2, "outstanding": 310, "goesOnMs": 602_000,
            "mayAdmitUntil": null,
        }],
    })
}

fn session() -> Value {
    json!({
        "name": "ada@acme.example", "email": "ada@acme.example", "displayName": "Ada", "timeZone": "Europe/Berlin",
        "hasPassword": true,
        "roles": [{
            "role": "organization-admin",
            "organization": {"id": ORGANIZATION_ID, "slug": "acme", "name": "Acme"},
        }],
    })
}

fn sign_in() -> Value {
    json!({
        "id": SESSION_ID, "current": true, "createdAt": CREATED_AT, "lastSeenAt": CREATED_AT,
        "expiresAt": INVITED_UNTIL, "address": "203.0.113.7", "userAgent": "Mozilla/5.0",
    })
}

fn member() -> Value {
    json!({
        "id": MEMBER_ID, "email": "grace@acme.example", "name": null, "role": "agent-admin", "agents": ["echo"],
        "state": "invited", "invitedUntil": INVITED_UNTIL, "createdAt": CREATED_AT,
    })
}

fn usage() -> Value {
    let denied_by = |rate: u64| json!({"rate": rate, "quota": 0, "concurrency": 0, "other": 0});
    let counts =
        |at: &str| json!({"at": at, "allowed": 120, "denied": 2, "failed": 0, "deniedBy": denied_by(2)});
    json!({
        "asOf": CREATED_AT,
        "limits": [
            {"kind": "rate", "per": "second", "requests": 100, "limit": 100, "used": 3, "remaining": 97, "resetsAt": "2026-11-23T14:02:31.183Z"},
            {"kind": "concurrency", "per": null, "limit": 5, "used": 1, "remaining": 4, "resetsAt": null},
            {"kind": "quota", "per": "day", "limit": 100_000, "used": 240, "remaining": 99_760, "resetsAt": "2026-11-23T23:00:00.000Z"},
        ],
        "totals": {"allowed": 240, "denied": 4, "failed": 0, "deniedBy": denied_by(4)},
        "routes": [{"route": "/agents/{agent}/{*rest}", "requests": 240}],
        "agents": [{"agent": "echo", "requests": 240}],
        "series": [counts("2026-11-23T13:00:00.000Z"), counts("2026-11-23T14:00:00.000Z")],
    })
}
