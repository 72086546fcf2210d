//! seccomp: system calls that lead out of a sandbox fail.
//!
//! The list names what is refused, since ordinary programs use hundreds of calls and each kernel adds some.
//! A call that is newer than the list is refused as well, as if the kernel did not have it: programs fall
//! back. The list follows the one of Docker (moby/profiles, seccomp), and goes further where that relies on
//! namespaces: no sockets, no `System V` memory, no memory files.

use std::io;
use std::sync::OnceLock;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch, apply_filter,
    sock_filter,
};

use super::Network;

/// The newest call that was looked at: `file_setattr` of Linux 6.17. Numbers are the same on every machine
/// since 424.
const NEWEST_CALL: u32 = 469;
/// `open_tree_attr` of Linux 6.15, which libc does not name yet.
const OPEN_TREE_ATTR: i64 = 467;
/// `statmount` and `listmount` of Linux 6.8.
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;

/// The two programs: what is refused, and what is said to be missing.
#[derive(Debug)]
pub(super) struct Filters {
    refused: BpfProgram,
    missing: BpfProgram,
}

impl Filters {
    /// Those of every sandbox with this network, made once.
    pub(super) fn get(network: &Network) -> io::Result<&'static Self> {
        static FILTERS: [OnceLock<Option<Filters>>; 3] = [const { OnceLock::new() }; 3];
        let (index, open): (usize, &[i64]) = match network {
            Network::None => (0, &[]),
            // Both are answered by us; what is said here would come first.
            Network::Fetch(_) => (1, &[libc::SYS_socket, libc::SYS_connect]),
            Network::Loopback => (2, &[libc::SYS_socket, libc::SYS_connect, libc::SYS_bind, libc::SYS_listen]),
        };
        let unsupported = || io::Error::new(io::ErrorKind::Unsupported, "no filter of system calls for this kind of machine");
        FILTERS[index].get_or_init(|| Self::compile(open).ok()).as_ref().ok_or_else(unsupported)
    }

    fn compile(open: &[i64]) -> Result<Self, seccompiler::BackendError> {
        let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
        let program = |rules: Vec<(i64, Vec<SeccompRule>)>, errno: i32| -> Result<BpfProgram, seccompiler::BackendError> {
            let rules = rules.into_iter().collect();
            SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno.unsigned_abs()), architecture)?.try_into()
        };
        let mut refused: Vec<_> = REFUSED.iter().filter(|call| !open.contains(call)).map(|call| (*call, Vec::new())).collect();
        refused.extend(conditional()?);
        let mut missing = unknown_is_missing();
        missing.extend(program(MISSING.iter().map(|call| (*call, Vec::new())).collect(), libc::ENOSYS)?);
        Ok(Self { refused: program(refused, libc::EPERM)?, missing })
    }

    /// Puts them on the calling thread. Called between fork and exec: it makes system calls only.
    pub(super) fn apply(&self) -> io::Result<()> {
        let refused = |_| io::Error::from_raw_os_error(libc::EACCES);
        apply_filter(&self.missing).map_err(refused)?;
        apply_filter(&self.refused).map_err(refused)
    }
}

/// Whether filters can be made here and the kernel takes them. Tried on a thread that ends.
pub(super) fn works() -> bool {
    let attempt = || Filters::get(&Network::None).is_ok_and(|filters| filters.apply().is_ok());
    std::thread::Builder::new().name("probe".to_owned()).spawn(attempt).is_ok_and(|thread| thread.join().unwrap_or(false))
}

/// Calls above [`NEWEST_CALL`] are missing. That includes those of x32, which are numbered from 2^30 and would
/// be another door to the same kernel.
fn unknown_is_missing() -> BpfProgram {
    const LOAD_CALL: sock_filter = sock_filter { code: 0x20, jt: 0, jf: 0, k: 0 };
    let skip_unless_greater = sock_filter { code: 0x25, jt: 0, jf: 1, k: NEWEST_CALL };
    let answer = sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::from(SeccompAction::Errno(libc::ENOSYS.unsigned_abs())) };
    vec![LOAD_CALL, skip_unless_greater, answer]
}

/// Refused only with certain arguments; one rule that fits is enough.
fn conditional() -> Result<Vec<(i64, Vec<SeccompRule>)>, seccompiler::BackendError> {
    use SeccompCmpOp::{Eq, MaskedEq, Ne};
    let when = |argument, operator, value: u64| -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)?])
    };
    let datagram_or_raw = |kind: libc::c_int| when(1, MaskedEq(0xf), kind.unsigned_abs().into());
    let namespaces = [
        libc::CLONE_NEWNS,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_NEWUTS,
        libc::CLONE_NEWIPC,
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
    ];
    let namespace = |flag: libc::c_int| when(0, MaskedEq(flag.unsigned_abs().into()), flag.unsigned_abs().into());
    let fast_open = |argument| when(argument, MaskedEq(libc::MSG_FASTOPEN.unsigned_abs().into()), libc::MSG_FASTOPEN.unsigned_abs().into());
    Ok(vec![
        // Sending connects as well with it, and no wall looks at where to.
        (libc::SYS_sendto, vec![fast_open(3)?]),
        (libc::SYS_sendmsg, vec![fast_open(2)?]),
        (libc::SYS_sendmmsg, vec![fast_open(3)?]),
        // A connected pair of streams cannot be pointed elsewhere; datagrams can.
        (
            libc::SYS_socketpair,
            vec![
                when(0, Ne, libc::AF_UNIX.unsigned_abs().into())?,
                datagram_or_raw(libc::SOCK_DGRAM)?,
                datagram_or_raw(libc::SOCK_RAW)?,
                datagram_or_raw(libc::SOCK_RDM)?,
                datagram_or_raw(libc::SOCK_DCCP)?,
            ],
        ),
        (libc::SYS_clone, namespaces.into_iter().map(namespace).collect::<Result<_, _>>()?),
        // Typing into a terminal, and the console's clipboard.
        (libc::SYS_ioctl, vec![when(1, Eq, 0x5412)?, when(1, Eq, 0x541c)?]),
        // Signals to everybody; limits, priorities and processors of other processes.
        (libc::SYS_kill, vec![when(0, Eq, u32::MAX.into())?]),
        (libc::SYS_prlimit64, vec![when(0, Ne, 0)?]),
        (libc::SYS_setpriority, vec![when(0, Ne, 0)?, when(1, Ne, 0)?]),
        (libc::SYS_ioprio_set, vec![when(0, Ne, 1)?, when(1, Ne, 0)?]),
        (libc::SYS_sched_setaffinity, vec![when(0, Ne, 0)?]),
        (libc::SYS_sched_setattr, vec![when(0, Ne, 0)?]),
        (libc::SYS_sched_setparam, vec![when(0, Ne, 0)?]),
        (libc::SYS_sched_setscheduler, vec![when(0, Ne, 0)?]),
    ])
}

/// Said to be missing, so that programs take the older way.
const MISSING: &[i64] = &[
    // Its flags lie in memory, where no filter looks; C libraries fall back to clone.
    libc::SYS_clone3,
    // A second door to open, connect and the rest.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    // Memory that no process owns, so that nobody could say whose it is.
    libc::SYS_memfd_create,
    libc::SYS_memfd_secret,
];

/// Refused whatever the arguments.
const REFUSED: &[i64] = &[
    // Sockets of every family, the ways to use one that was handed in, and those of queues.
    libc::SYS_socket,
    libc::SYS_connect,
    libc::SYS_bind,
    libc::SYS_listen,
    libc::SYS_mq_open,
    libc::SYS_mq_unlink,
    // Other processes.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_move_pages,
    libc::SYS_migrate_pages,
    // Namespaces and mounts.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    OPEN_TREE_ATTR,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    STATMOUNT,
    LISTMOUNT,
    libc::SYS_name_to_handle_at,
    libc::SYS_open_by_handle_at,
    // Large parts of the kernel that ordinary programs do without.
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_fanotify_init,
    libc::SYS_fanotify_mark,
    libc::SYS_lookup_dcookie,
    libc::SYS_nfsservctl,
    // Keys of the user, which outlive a process.
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    // System V: memory, queues and locks of the whole machine, which outlive a process.
    libc::SYS_shmget,
    libc::SYS_shmat,
    libc::SYS_shmctl,
    libc::SYS_msgget,
    libc::SYS_msgsnd,
    libc::SYS_msgrcv,
    libc::SYS_msgctl,
    libc::SYS_semget,
    libc::SYS_semop,
    libc::SYS_semtimedop,
    libc::SYS_semctl,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_uselib,
];
