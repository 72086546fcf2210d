//! What can happen to a queue. Jobs and claims are named by a number, counted around: whatever was shortened away by
//! shrinking, a number always names something.

use domain::{Mode, Scope, WaitingFor};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// The repositories.
pub const LANES: [&str; 3] = ["acme/a", "acme/b", "acme/c"];

/// One operation.
#[derive(Clone, Debug)]
pub enum Operation {
    Enqueue { mode: Option<Mode>, lane: usize, priority: i16 },
    Claim { mode: Mode, slots: u16, lease_secs: u64 },
    ClaimOne { job: usize, lease_secs: u64 },
    ClaimTriage { job: Option<usize>, lease_secs: u64 },
    Triaged { claim: usize, mode: Mode },
    Renew { claims: Vec<usize>, lease_secs: u64 },
    Release { claim: usize },
    Fail { claim: usize },
    WaitOut { claim: usize, patient: bool },
    Step { claim: usize },
    Decide { claim: usize },
    Finish { claim: usize, dead: bool },
    WaitFor { claim: usize, what: WaitingFor, secs: u64 },
    Wake { job: usize },
    WakeDue,
    Sweep,
    Stop { job: usize },
    Requeue { job: usize },
    Redrive { job: usize },
    RedriveAll { lane: usize },
    Discard { job: usize },
    Pause { scope: Scope },
    CloseByAlarm { scope: Scope },
    Resume { scope: Scope },
    Limit { lane: usize, most: Option<u16> },
    Tend,
    Advance { secs: u64 },
}

/// Where operations come from. It keeps nothing: the model knows what an operation means for the state it meets.
pub struct Operations;

impl ReferenceStateMachine for Operations {
    type State = ();
    type Transition = Operation;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions(_: &()) -> BoxedStrategy<Operation> {
        use Operation as Op;
        let lease = || prop_oneof![Just(30_u64), Just(1_000)];
        let claim = || 0..6_usize;
        let job = || 0..8_usize;
        let lane = || 0..LANES.len();
        prop_oneof![
            8 => (prop_oneof![4 => Just(Some(Mode::Mechanic)), 1 => Just(Some(Mode::Genius)), 2 => Just(None)], lane(), 0..2_i16)
                .prop_map(|(mode, lane, priority)| Op::Enqueue { mode, lane, priority }),
            8 => (mode(), 1..6_u16, lease()).prop_map(|(mode, slots, lease_secs)| Op::Claim { mode, slots, lease_secs }),
            3 => (job(), lease()).prop_map(|(job, lease_secs)| Op::ClaimOne { job, lease_secs }),
            2 => (proptest::option::of(job()), lease()).prop_map(|(job, lease_secs)| Op::ClaimTriage { job, lease_secs }),
            2 => (claim(), mode()).prop_map(|(claim, mode)| Op::Triaged { claim, mode }),
            2 => (proptest::collection::vec(claim(), 0..4), lease()).prop_map(|(claims, lease_secs)| Op::Renew { claims, lease_secs }),
            2 => claim().prop_map(|claim| Op::Release { claim }),
            5 => claim().prop_map(|claim| Op::Fail { claim }),
            2 => (claim(), any::<bool>()).prop_map(|(claim, patient)| Op::WaitOut { claim, patient }),
            2 => claim().prop_map(|claim| Op::Step { claim }),
            1 => claim().prop_map(|claim| Op::Decide { claim }),
            2 => (claim(), any::<bool>()).prop_map(|(claim, dead)| Op::Finish { claim, dead }),
            2 => (claim(), waiting_for(), 0..500_u64).prop_map(|(claim, what, secs)| Op::WaitFor { claim, what, secs }),
            1 => job().prop_map(|job| Op::Wake { job }),
            2 => Just(Op::WakeDue),
            4 => Just(Op::Sweep),
            2 => job().prop_map(|job| Op::Stop { job }),
            2 => job().prop_map(|job| Op::Requeue { job }),
            1 => job().prop_map(|job| Op::Redrive { job }),
            1 => lane().prop_map(|lane| Op::RedriveAll { lane }),
            1 => job().prop_map(|job| Op::Discard { job }),
            1 => scope().prop_map(|scope| Op::Pause { scope }),
            1 => scope().prop_map(|scope| Op::CloseByAlarm { scope }),
            3 => scope().prop_map(|scope| Op::Resume { scope }),
            2 => (lane(), proptest::option::of(1..3_u16)).prop_map(|(lane, most)| Op::Limit { lane, most }),
            1 => Just(Op::Tend),
            5 => prop_oneof![Just(1_u64), Just(31), Just(400)].prop_map(|secs| Op::Advance { secs }),
        ]
        .boxed()
    }

    fn apply(_: (), _: &Operation) {}
}

fn mode() -> impl Strategy<Value = Mode> {
    prop_oneof![3 => Just(Mode::Mechanic), 1 => Just(Mode::Genius)]
}

fn waiting_for() -> impl Strategy<Value = WaitingFor> {
    prop_oneof![Just(WaitingFor::Budget), Just(WaitingFor::Answer), Just(WaitingFor::Snooze)]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![Just(Scope::All), mode().prop_map(Scope::Mode), (0..LANES.len()).prop_map(|lane| Scope::Repository(LANES[lane].to_owned()))]
}
