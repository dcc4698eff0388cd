//! All scripts of feed, table, register and usage.

use super::script::{Script, script_text};

/// `scripts/sync.lua`
pub(super) static SYNC: Script = Script::new("sync", script_text!("sync.lua"));
/// `scripts/leave.lua`
pub(super) static LEAVE: Script = Script::new("leave", script_text!("leave.lua"));
/// `scripts/remember.lua`
pub(super) static REMEMBER: Script = Script::new("remember", script_text!("remember.lua"));
/// `scripts/expel.lua`
pub(super) static EXPEL: Script = Script::new("expel", script_text!("expel.lua"));
/// `scripts/gateways.lua`
pub(super) static GATEWAYS: Script = Script::new("gateways", script_text!("gateways.lua"));
/// `scripts/state.lua`
pub(super) static STATE: Script = Script::new("state", script_text!("state.lua"));
/// `scripts/shard_state.lua`
pub(super) static SHARD_STATE: Script = Script::new("shard_state", script_text!("shard_state.lua"));
/// `scripts/begin.lua`
pub(super) static BEGIN: Script = Script::new("begin", script_text!("begin.lua"));
/// `scripts/shard_begin.lua`
pub(super) static SHARD_BEGIN: Script = Script::new("shard_begin", script_text!("shard_begin.lua"));
/// `scripts/fill.lua`
pub(super) static FILL: Script = Script::new("fill", script_text!("fill.lua"));
/// `scripts/shard_open.lua`
pub(super) static SHARD_OPEN: Script = Script::new("shard_open", script_text!("shard_open.lua"));
/// `scripts/open.lua`
pub(super) static OPEN: Script = Script::new("open", script_text!("open.lua"));
/// `scripts/clean.lua`
pub(super) static CLEAN: Script = Script::new("clean", script_text!("clean.lua"));
/// `scripts/at.lua`
pub(super) static AT: Script = Script::new("at", script_text!("at.lua"));
/// `scripts/shard_apply.lua`
pub(super) static SHARD_APPLY: Script = Script::new("shard_apply", script_text!("shard_apply.lua"));
/// `scripts/publish.lua`
pub(super) static PUBLISH: Script = Script::new("publish", script_text!("publish.lua"));
/// `scripts/table.lua`
pub(super) static TABLE: Script = Script::new("table", script_text!("table.lua"));
/// `scripts/open_ledger.lua`
pub(super) static OPEN_LEDGER: Script = Script::new("open_ledger", script_text!("open_ledger.lua"));
/// `scripts/push_usage.lua`
pub(super) static PUSH_USAGE: Script = Script::new("push_usage", script_text!("push_usage.lua"));
/// `scripts/take_usage.lua`
pub(super) static TAKE_USAGE: Script = Script::new("take_usage", script_text!("take_usage.lua"));
/// `scripts/drop_usage.lua`
pub(super) static DROP_USAGE: Script = Script::new("drop_usage", script_text!("drop_usage.lua"));
/// `scripts/ledger.lua`
pub(super) static LEDGER: Script = Script::new("ledger", script_text!("ledger.lua"));
/// `scripts/ledger_floors.lua`
pub(super) static LEDGER_FLOORS: Script = Script::new("ledger_floors", script_text!("ledger_floors.lua"));
/// `scripts/ledger_complete.lua`
pub(super) static LEDGER_COMPLETE: Script =
    Script::new("ledger_complete", script_text!("ledger_complete.lua"));
/// `scripts/ledger_account.lua`
pub(super) static LEDGER_ACCOUNT: Script = Script::new("ledger_account", script_text!("ledger_account.lua"));
/// `scripts/want.lua`
pub(super) static WANT: Script = Script::new("want_floors", script_text!("want.lua"));
/// `scripts/take_wanted.lua`
pub(super) static TAKE_WANTED: Script = Script::new("take_wanted", script_text!("take_wanted.lua"));
