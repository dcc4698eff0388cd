//! The management API as programs meet it: a real database in a temporary folder, the real key table, no network.

#[cfg(test)]
mod agents;
#[cfg(test)]
mod authority;
#[cfg(test)]
mod command_line;
#[cfg(test)]
mod concurrency;
#[cfg(test)]
mod gateways;
#[cfg(test)]
mod harness;
#[cfg(test)]
#[path = "../support/openid.rs"]
mod identity_provider;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod openid;
#[cfg(test)]
mod organizations;
#[cfg(test)]
mod pages_audit;
#[cfg(test)]
mod pages_front;
#[cfg(test)]
mod pages_keys;
#[cfg(test)]
mod pages_list;
#[cfg(test)]
mod pages_operators;
#[cfg(test)]
mod pages_people;
#[cfg(test)]
mod pages_usage;
#[cfg(test)]
mod pages_visitor;
#[cfg(test)]
mod people;
#[cfg(test)]
mod people_apart;
#[cfg(test)]
mod records;
#[cfg(test)]
mod requests;
#[cfg(test)]
mod unconfirmed;
#[cfg(test)]
mod usage;
