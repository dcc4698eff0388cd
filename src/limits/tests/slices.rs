//! The contract of the fleet's ledger: what every implementation does, and players who ask it at random.

use std::collections::BTreeMap;

use super::scene::Dice;
use super::support::START;
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::{GatewayId, KeyId};
use crate::domain::limit::Window;
use crate::limits::Span;
use crate::limits::slices::*;

const QUOTA: u64 = 50;
const PLACES: u32 = 6;
/// A token each 2 ms, five of them: in a test with a real clock some come in.
const INTERVAL: u64 = 2_000_000;
const BURST: u64 = 5;
/// Length of the windows of players, in milliseconds; they begin long after the lineage, so that they need no floor.
const WINDOW_MS: u64 = 1_000;

/// One gateway that plays, and what it believes.
#[derive(Debug, Clone)]
struct Player {
    gateway: GatewayId,
    number: u64,
    first: bool,
    window: u64,
    own: u64,
    used: u64,
    tokens: u64,
    places: u32,
    pending: Option<SliceAsk>,
    /// Asks that may still be somewhere in the network.
    late: Vec<SliceAsk>,
}

impl Player {
    fn new() -> Player {
        Player {
            gateway: GatewayId::generate(),
            number: 0,
            first: true,
            window: 0,
            own: 0,
            used: 0,
            tokens: 0,
            places: 0,
            pending: None,
            late: Vec::new(),
        }
    }
}

/// Players who spend, ask, lose answers, ask again, deliver old asks, die and move on to the next window.
#[derive(Debug)]
pub(crate) struct Players {
    pub(crate) key: KeyId,
    pub(crate) epoch: u64,
    players: Vec<Player>,
    pub(crate) dice: Dice,
    lapse_ms: u64,
    admitted: BTreeMap<u64, u64>,
    pub(crate) tokens_spent: u64,
    /// Quota that dead players held and tokens they may have spent.
    windows: u64,
    base_ms: u64,
}

/// What comes next on the way to the ledger.
pub(crate) struct Move {
    at: usize,
    pub(crate) ask: SliceAsk,
    heard: bool,
}

impl Players {
    pub(crate) fn new(seed: u64, epoch: u64, base_ms: u64, lapse_ms: u64) -> Players {
        Players {
            key: KeyId::generate(),
            epoch,
            players: (0..3).map(|_| Player::new()).collect(),
            dice: Dice(seed),
            lapse_ms,
            admitted: BTreeMap::new(),
            tokens_spent: 0,
            windows: 0,
            base_ms,
        }
    }

    /// Plays until something is to be delivered.
    pub(crate) fn next_move(&mut self) -> Move {
        loop {
            let at = self.dice.place(3);
            let heard = self.dice.below(4) > 0;
            match self.dice.below(20) {
                0..=5 => self.spend(at),
                6..=13 => {
                    let ask = self.players[at].pending.clone().unwrap_or_else(|| self.compose(at));
                    self.players[at].pending = Some(ask.clone());
                    self.players[at].late.push(ask.clone());
                    if self.dice.below(6) > 0 {
                        return Move { at, ask, heard };
                    }
                }
                14..=16 if !self.players[at].late.is_empty() => {
                    let which = self.dice.place(self.players[at].late.len());
                    let ask = self.players[at].late.swap_remove(which);
                    return Move { at, ask, heard: false };
                }
                17 if self.dice.below(4) == 0 => self.players[at] = Player::new(),
                18 if self.dice.below(4) == 0 => self.windows += 1,
                _ => {}
            }
        }
    }

    fn spend(&mut self, at: usize) {
        let many = self.dice.below(4);
        let player = &mut self.players[at];
        let quota = many.min(player.own - player.used);
        player.used += quota;
        *self.admitted.entry(player.window).or_default() += quota;
        let tokens = many.min(player.tokens);
        player.tokens -= tokens;
        self.tokens_spent += tokens;
    }

    fn span(&self, window: u64) -> Span {
        let start = self.base_ms + window * WINDOW_MS;
        Span { start: UnixMillis(start), end: UnixMillis(start + WINDOW_MS) }
    }

    fn compose(&mut self, at: usize) -> SliceAsk {
        let [more, places, drawn, gives] = [12, 4, 4, 3].map(|end| self.dice.below(end));
        let places = u32::try_from(places).unwrap();
        let windows = self.windows;
        let player = &mut self.players[at];
        if player.window != windows {
            (player.window, player.own, player.used) = (windows, 0, 0);
        }
        player.number += 1;
        let back = gives == 0;
        let returned = if back { std::mem::take(&mut player.tokens) } else { 0 };
        if back {
            player.own = player.used;
            player.places = player.places.min(places);
        }
        let player = player.clone();
        SliceAsk {
            key: self.key,
            gateway: player.gateway,
            number: player.number,
            epoch: self.epoch,
            first: player.first,
            unrecorded: 0,
            lapse_ms: self.lapse_ms,
            gateways: 3,
            silent: 0,
            quotas: vec![QuotaPart {
                window: Window::Minute,
                span: self.span(player.window),
                limit: QUOTA,
                held: player.own,
                used: player.used,
                want: if back { player.used } else { player.own + more },
            }],
            rate: Some(RatePart {
                interval: INTERVAL,
                per_us: 1_000,
                burst: BURST,
                held: player.tokens,
                quiet_us: 0,
                refilled: 0,
                returned,
                want: if back { 0 } else { player.tokens + drawn },
            }),
            places: Some(PlacesPart {
                limit: PLACES,
                held: player.places,
                want: if back { player.places } else { player.places + places },
            }),
        }
    }

    /// What the answer to a move makes of the player.
    pub(crate) fn hear(&mut self, turn: &Move, answer: &SliceAnswer) {
        let spans = (0..=self.windows).map(|window| self.span(window)).collect::<Vec<_>>();
        let player = &mut self.players[turn.at];
        if !turn.heard || player.pending.as_ref() != Some(&turn.ask) {
            return;
        }
        player.pending = None;
        match answer {
            SliceAnswer::Granted { quotas, rate, places, .. } => {
                player.first = false;
                let quota = quotas[0];
                let window = spans.iter().position(|span| *span == quota.span).unwrap() as u64;
                if window == player.window {
                    // Less than was used where the ledger had forgotten this player meanwhile, and an old ask of its
                    // arrived after that: what was used before is stranded there, and counted.
                    player.own = quota.own.max(player.used);
                } else {
                    (player.window, player.own, player.used) = (window, quota.own, 0);
                }
                let held = turn.ask.rate.unwrap().held;
                player.tokens = (player.tokens + rate.unwrap().own).saturating_sub(held);
                player.places = places.unwrap().own;
            }
            SliceAnswer::Forgotten | SliceAnswer::Late => {
                (player.first, player.tokens, player.places) = (true, 0, 0);
                (player.own, player.used) = (0, 0);
            }
            SliceAnswer::OtherEpoch(epoch) => panic!("epoch {epoch}"),
        }
    }

    /// Nothing was admitted beyond a limit, and nothing can be.
    pub(crate) fn check(&self, record: &AccountRecord) {
        for (window, admitted) in &self.admitted {
            let there = self.players.iter().filter(|player| player.window == *window);
            let held: u64 = there.map(|player| player.own - player.used).sum();
            assert!(admitted + held <= QUOTA, "window {window}: {admitted} admitted, {held} held");
        }
        let window = record.windows[0].unwrap();
        assert!(window.total <= QUOTA && window.stranded <= window.total, "{window:?}");
        assert!(record.places_out() <= PLACES, "{} places", record.places_out());
        let rate = record.rate.unwrap();
        let in_hands = i64::try_from(record.tokens_out() * INTERVAL).unwrap();
        assert!(rate.level + in_hands <= i64::try_from(rate.full()).unwrap(), "{rate:?}, {in_hands} out");
    }

    /// No more tokens were spent than the bucket held and took in over so many microseconds.
    pub(crate) fn check_tokens(&self, passed_us: u64) {
        let most = BURST + passed_us * 1_000 / INTERVAL + 1;
        assert!(self.tokens_spent <= most, "{} tokens spent of {most}", self.tokens_spent);
    }
}

#[test]
fn whatever_gateways_ask_lose_and_repeat_nothing_is_granted_twice() {
    for seed in 0..3_000 {
        println!("seed {seed}");
        let mut now_us = 1_000_000_000_000_000;
        let lineage = Lineage { epoch: 1, began_us: now_us, floors_complete: false };
        let mut players = Players::new(seed, 1, now_us / 1_000 + 100_000, 1 + seed % 40);
        let mut record = AccountRecord::default();
        let began_us = now_us;
        for _ in 0..200 {
            now_us += players.dice.below(3_000);
            let turn = players.next_move();
            let answer = record.exchange(&turn.ask, now_us, lineage);
            players.hear(&turn, &answer);
            if record.rate.is_some() {
                players.check(&record);
            }
            players.check_tokens(now_us - began_us);
        }
    }
}

fn ask(key: KeyId, gateway: GatewayId, number: u64, first: bool, quota: QuotaPart) -> SliceAsk {
    SliceAsk {
        key,
        gateway,
        number,
        epoch: 7,
        first,
        unrecorded: 0,
        lapse_ms: 3_600_000,
        gateways: 2,
        silent: 0,
        quotas: vec![quota],
        rate: None,
        places: None,
    }
}

async fn one<L: SliceLedger>(ledger: &L, ask: &SliceAsk) -> SliceAnswer {
    ledger.exchange(std::slice::from_ref(ask)).await.unwrap().remove(0)
}

/// Own, total, others' idle.
fn numbers(answer: &SliceAnswer) -> (u64, u64, u64) {
    match answer {
        SliceAnswer::Granted { quotas, .. } => (quotas[0].own, quotas[0].total, quotas[0].others_idle),
        other => panic!("{other:?}"),
    }
}

/// What a ledger at epoch 7, without floors, does whatever it is made of. `now` is by its clock.
pub(crate) async fn holds<L: SliceLedger + SliceBooks>(ledger: &L, now: UnixMillis) {
    let (key, [a, b]) = (KeyId::generate(), [GatewayId::generate(), GatewayId::generate()]);
    let later = Span { start: UnixMillis(now.0 + 100_000), end: UnixMillis(now.0 + 160_000) };
    let part = |span, held, used, want| QuotaPart { window: Window::Hour, span, limit: 10, held, used, want };

    // Granted up to the limit, repeated without effect, an earlier one refused.
    let first = ask(key, a, 5, true, part(later, 0, 0, 7));
    assert_eq!(numbers(&one(ledger, &first).await), (7, 7, 0));
    assert_eq!(numbers(&one(ledger, &ask(key, b, 1, true, part(later, 0, 0, 7))).await), (3, 10, 7));
    assert_eq!(numbers(&one(ledger, &first).await), (7, 7, 0));
    assert_eq!(one(ledger, &ask(key, a, 4, false, part(later, 7, 0, 0))).await, SliceAnswer::Late);

    // Given back down to what is used, and then others get it.
    assert_eq!(numbers(&one(ledger, &ask(key, a, 6, false, part(later, 7, 2, 0))).await), (2, 5, 3));
    assert_eq!(numbers(&one(ledger, &ask(key, b, 2, false, part(later, 3, 3, 9))).await), (8, 10, 0));

    // Who asks for a window that is over is told of the one that goes on; the next one begins empty.
    let next = Span { start: later.end, end: UnixMillis(later.end.0 + 60_000) };
    assert_eq!(numbers(&one(ledger, &ask(key, b, 3, false, part(next, 0, 0, 4))).await), (4, 4, 0));
    let told = one(ledger, &ask(key, a, 7, false, part(later, 2, 2, 9))).await;
    assert_eq!(numbers(&told), (0, 4, 4));
    assert!(matches!(told, SliceAnswer::Granted { quotas, .. } if quotas[0].span == next));

    // A stranger who claims to hold something is told to begin anew, and so is every other lineage.
    let stranger = ask(key, GatewayId::generate(), 9, false, part(next, 4, 0, 4));
    assert_eq!(one(ledger, &stranger).await, SliceAnswer::Forgotten);

    // What was used before this lineage has to be told by a console first.
    let (old, running) =
        (KeyId::generate(), Span { start: UnixMillis(now.0 - 1_000), end: UnixMillis(now.0 + 60_000) });
    let declared = SliceAsk { unrecorded: 2, ..ask(old, a, 1, true, part(running, 3, 2, 3)) };
    assert_eq!(numbers(&one(ledger, &declared).await), (3, 3, 0));
    let wants = one(ledger, &ask(old, a, 2, false, part(running, 3, 2, 9))).await;
    assert!(matches!(&wants, SliceAnswer::Granted { needs_floor: true, .. }));
    assert_eq!(numbers(&wants), (3, 3, 0));
    let floor = Floor { key: old, quotas: vec![(Window::Hour, running, 5)], recent: 5 };
    assert_eq!(ledger.put_floors(7, std::slice::from_ref(&floor)).await.unwrap(), 1);
    assert_eq!(ledger.put_floors(7, &[floor]).await.unwrap(), 0);
    assert_eq!(numbers(&one(ledger, &ask(old, a, 3, false, part(running, 3, 3, 9))).await), (5, 10, 0));

    // Once all floors are told, an account without one begins at 0.
    let fresh = KeyId::generate();
    let wish = |number| ask(fresh, b, number, number == 1, part(running, 0, 0, 4));
    assert!(matches!(one(ledger, &wish(1)).await, SliceAnswer::Granted { needs_floor: true, .. }));
    ledger.complete_floors(7).await.unwrap();
    assert_eq!(numbers(&one(ledger, &wish(2)).await), (4, 4, 0));

    // Whoever is silent for too long is forgotten, and what it had of a quota is stranded.
    let dead = SliceAsk { lapse_ms: 0, ..ask(fresh, a, 1, true, part(running, 0, 0, 4)) };
    assert_eq!(numbers(&one(ledger, &dead).await), (4, 8, 4));
    for _ in 0..3 {
        // Time passes with each call.
        one(ledger, &ask(KeyId::generate(), a, 1, true, part(later, 0, 0, 1))).await;
    }
    assert_eq!(numbers(&one(ledger, &ask(fresh, b, 3, false, part(running, 4, 4, 9))).await), (6, 10, 0));
    let (record, _) = ledger.account(fresh).await.unwrap().unwrap();
    assert_eq!(record.windows[1].unwrap().stranded, 4);
    assert_eq!(record.gateways.len(), 1);
}

/// The reference with a clock that moves a little with each call.
struct Moving(ReferenceLedger, Clock);

impl SliceLedger for Moving {
    async fn exchange(&self, asks: &[SliceAsk]) -> Result<Vec<SliceAnswer>, SliceError> {
        self.1.advance(std::time::Duration::from_micros(300));
        self.0.exchange(asks).await
    }
}

impl SliceBooks for Moving {
    async fn wanted(&self, most: usize) -> Result<Vec<KeyId>, SliceError> {
        self.0.wanted(most).await
    }

    async fn put_floors(&self, epoch: u64, floors: &[Floor]) -> Result<u64, SliceError> {
        self.0.put_floors(epoch, floors).await
    }

    async fn complete_floors(&self, epoch: u64) -> Result<(), SliceError> {
        self.0.complete_floors(epoch).await
    }

    async fn account(&self, key: KeyId) -> Result<Option<(AccountRecord, u64)>, SliceError> {
        self.0.account(key).await
    }
}

#[tokio::test]
async fn the_reference_keeps_the_contract() {
    let clock = Clock::manual(START);
    let ledger = Moving(ReferenceLedger::new(clock.clone()), clock);
    ledger.0.begin(7);
    holds(&ledger, START).await;
}
