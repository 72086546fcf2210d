//! Landlock: which files can be reached, and no signal or socket outside.

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetError, Scope, path_beneath_rules,
};

use super::{Profile, network::PORTS, system};

/// The version that the rules below are written for and tested with. Older kernels hold what they know.
const NEWEST: ABI = ABI::V6;

/// The version that is in force here; 0 = none.
pub(super) fn abi() -> u8 {
    let handles = |abi: ABI| {
        let rules = Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(AccessFs::from_all(abi));
        let rules = if abi >= ABI::V4 { rules.and_then(|rules| rules.handle_access(AccessNet::from_all(abi))) } else { rules };
        let rules = if abi >= ABI::V6 { rules.and_then(|rules| rules.scope(Scope::from_all(abi))) } else { rules };
        rules.and_then(Ruleset::create).is_ok()
    };
    let known = [ABI::V1, ABI::V2, ABI::V3, ABI::V4, ABI::V5, ABI::V6];
    known.into_iter().rev().find(|abi| handles(*abi)).map_or(0, |abi| abi as u8)
}

/// The rules of `profile`, to be put on a child. Opens what it names, so links on the way are followed now
/// and not when the rules are used.
pub(super) fn rules(profile: &Profile, first_port: Option<u16>) -> Result<RulesetCreated, RulesetError> {
    let read = AccessFs::from_read(NEWEST);
    let device = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::IoctlDev;
    Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .add_rules(path_beneath_rules(system::READ.iter().map(Path::new), read))?
        .add_rules(path_beneath_rules(system::ETC.iter().map(|name| Path::new("/etc").join(name)), read & !AccessFs::Execute))?
        .add_rules(path_beneath_rules(system::DEVICES.iter().map(Path::new), device))?
        .add_rules(path_beneath_rules(&profile.read, read))?
        .add_rules(path_beneath_rules(&profile.write, writable()))?
        .add_rules(first_port.into_iter().flat_map(ports).map(Ok::<_, RulesetError>))
}

/// To listen on the ports of a command and on one that the system chooses, which it does among them; to connect to them.
fn ports(first: u16) -> impl Iterator<Item = NetPort> {
    let all = (first..first + PORTS).map(|port| NetPort::new(port, AccessNet::BindTcp | AccessNet::ConnectTcp));
    all.chain([NetPort::new(0, AccessNet::BindTcp)])
}

/// Everything but devices and sockets, which nothing could be done with.
fn writable() -> BitFlags<AccessFs> {
    AccessFs::from_all(NEWEST) & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::MakeSock | AccessFs::IoctlDev)
}
