"""Attempts to get out of a sandbox. `python3 attempts.py NAME` makes one and prints ESCAPED when it worked.

What is attacked is told by the environment: files, a process, sockets and a terminal of whoever runs the sandbox.
Every attempt is bounded, touches loopback only and leaves the machine as it was.
"""

import ctypes
import fcntl
import mmap
import os
import platform
import signal
import socket
import struct
import subprocess
import sys
import termios
import time

libc = ctypes.CDLL(None, use_errno=True)
E = os.environ.get
X86 = platform.machine() == "x86_64"
ATTEMPTS = {}


def attempt(function):
    ATTEMPTS[function.__name__] = function
    return function


def escaped(condition=True):
    """Only what is true counts."""
    if condition or condition == 0 and condition is not False:
        print("ESCAPED", flush=True)


def call(number, *arguments):
    """A system call by its number; raises what the kernel says."""
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]
    result = libc.syscall(ctypes.c_long(number), *converted)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


# Numbers since 424 are the same everywhere; those before are of x86-64 and of everything newer.
def number(x86, generic):
    return x86 if X86 else generic


def read(path):
    with open(path, "rb") as file:
        return file.read(4096)


def victim():
    return int(E("E_VICTIM"))


# Files


@attempt
def reads_a_private_file():
    escaped(read(E("E_SECRET")) == b"TOPSECRET")


@attempt
def reads_a_file_that_everybody_may_read():
    escaped(read(E("E_PUBLIC")) == b"TOPSECRET")


@attempt
def overwrites_a_private_file():
    with open(E("E_SECRET"), "r+b") as file:
        escaped(file.write(b"TOPSECRET") == 9)


@attempt
def truncates_a_private_file():
    os.truncate(E("E_SECRET"), 9)
    escaped()


@attempt
def creates_a_file_in_a_private_folder():
    path = E("E_PRIVATE") + "/created"
    open(path, "w").close()
    os.unlink(path)
    escaped()


@attempt
def removes_a_private_file():
    os.unlink(E("E_DOOMED"))
    escaped()


@attempt
def changes_the_mode_of_a_private_file():
    os.chmod(E("E_SECRET"), 0o600)
    escaped()


@attempt
def changes_the_times_of_a_private_file():
    os.utime(E("E_SECRET"), (1, 1))
    escaped()


@attempt
def writes_a_file_that_everybody_may_write():
    with open(E("E_SHARED"), "a") as file:
        escaped(file.write("x") == 1)


@attempt
def lists_a_folder_outside():
    escaped("public" in os.listdir(E("E_OPEN")))


@attempt
def reads_through_a_symbolic_link():
    os.symlink(E("E_SECRET"), "link")
    escaped(read("link") == b"TOPSECRET")


@attempt
def reads_through_a_link_to_a_folder():
    os.symlink(E("E_PRIVATE"), "folder")
    escaped(read("folder/secret") == b"TOPSECRET")


@attempt
def reads_through_a_hard_link():
    os.link(E("E_SECRET"), "hard")
    escaped(read("hard") == b"TOPSECRET")


@attempt
def moves_a_file_out_of_the_workspace():
    open("moved", "w").close()
    os.rename("moved", E("E_DROP") + "/moved-%d" % os.getpid())
    escaped()


@attempt
def reads_by_a_file_handle():
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + bytes(128))
    mount = ctypes.c_int()
    call(number(303, 264), -100, E("E_SECRET").encode(), handle, ctypes.byref(mount), 0)
    folder = os.open(".", os.O_RDONLY)
    file = call(number(304, 265), folder, handle, os.O_RDONLY)
    escaped(os.read(file, 9) == b"TOPSECRET")


@attempt
def reads_the_passwords_of_the_system():
    escaped(len(read("/etc/shadow")) > 0)


@attempt
def writes_to_the_shared_folder_for_temporary_files():
    path = "/tmp/codeteam-escape-%d" % os.getpid()
    open(path, "w").close()
    os.unlink(path)
    escaped()


@attempt
def writes_to_shared_memory():
    path = "/dev/shm/codeteam-escape-%d" % os.getpid()
    open(path, "w").close()
    os.unlink(path)
    escaped()


@attempt
def makes_a_device():
    os.mknod("device", 0o20600, os.makedev(1, 3))
    escaped()


# /proc


@attempt
def reads_the_environment_of_a_process():
    escaped(b"SECRET=" in read("/proc/%d/environ" % victim()))


@attempt
def reads_the_environment_of_a_protected_process():
    escaped(b"SECRET=" in read("/proc/%s/environ" % E("E_PROTECTED")))


@attempt
def reads_the_memory_of_a_process():
    with open("/proc/%d/mem" % victim(), "rb") as memory:
        memory.seek(int(E("E_ADDRESS")))
        escaped(memory.read(9) == b"TOPSECRET")


@attempt
def reads_the_memory_of_a_protected_process():
    with open("/proc/%s/maps" % E("E_PROTECTED")) as maps:
        escaped(len(maps.read()) > 0)


@attempt
def writes_the_memory_of_a_process():
    with open("/proc/%d/mem" % victim(), "r+b", buffering=0) as memory:
        memory.seek(int(E("E_ADDRESS")))
        escaped(memory.write(b"TOPSECRET") == 9)


@attempt
def reads_the_memory_map_of_a_process():
    escaped(len(read("/proc/%d/maps" % victim())) > 0)


@attempt
def opens_a_descriptor_of_a_process():
    escaped(read("/proc/%d/fd/%s" % (victim(), E("E_FD"))) == b"TOPSECRET")


@attempt
def leaves_by_the_root_of_a_process():
    escaped(read("/proc/%d/root%s" % (victim(), E("E_SECRET"))) == b"TOPSECRET")


@attempt
def leaves_by_the_folder_of_a_process():
    escaped(read("/proc/%d/cwd/secret" % victim()) == b"TOPSECRET")


@attempt
def has_a_process_killed_when_memory_runs_out():
    with open("/proc/%d/oom_score_adj" % victim(), "w") as file:
        file.write("500")
    escaped()


@attempt
def takes_back_the_wish_to_be_killed_first():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("0")
    escaped()


@attempt
def changes_a_setting_of_the_kernel():
    path = "/proc/sys/vm/swappiness"
    value = read(path)
    with open(path, "wb") as file:
        file.write(value)
    escaped()


# Signals and other processes


@attempt
def signals_a_process():
    os.kill(victim(), 0)
    escaped()


@attempt
def stops_a_process():
    os.kill(victim(), signal.SIGSTOP)
    os.kill(victim(), signal.SIGCONT)
    escaped()


@attempt
def signals_a_thread():
    call(number(234, 131), victim(), victim(), 0)
    escaped()


@attempt
def signals_by_a_descriptor():
    call(424, call(434, victim(), 0), 0, None, 0)
    escaped()


@attempt
def traces_a_process():
    escaped(libc.ptrace(0x4206, victim(), None, None) == 0)


@attempt
def reads_memory_across_processes():
    buffer = ctypes.create_string_buffer(9)
    here = struct.pack("PP", ctypes.addressof(buffer), 9)
    there = struct.pack("PP", int(E("E_ADDRESS")), 9)
    call(number(310, 270), victim(), here, 1, there, 1, 0)
    escaped(buffer.raw == b"TOPSECRET")


@attempt
def writes_memory_across_processes():
    buffer = ctypes.create_string_buffer(b"TOPSECRET", 9)
    here = struct.pack("PP", ctypes.addressof(buffer), 9)
    there = struct.pack("PP", int(E("E_ADDRESS")), 9)
    escaped(call(number(311, 271), victim(), here, 1, there, 1, 0) == 9)


@attempt
def takes_a_descriptor_of_a_process():
    file = call(438, call(434, victim(), 0), int(E("E_FD")), 0)
    escaped(os.pread(file, 9, 0) == b"TOPSECRET")


@attempt
def changes_the_limits_of_a_process():
    call(number(302, 261), victim(), 7, struct.pack("QQ", 200, 200), None)
    escaped()


@attempt
def changes_the_priority_of_a_process():
    os.setpriority(os.PRIO_PROCESS, victim(), 1)
    escaped()


@attempt
def binds_a_process_to_a_processor():
    os.sched_setaffinity(victim(), os.sched_getaffinity(victim()))
    escaped()


# Sockets


def stream(family, address):
    with socket.socket(family, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.connect(address)
        reached(connection, address)


def reached(connection, address):
    """Whether a connection leads to an address: one that somebody else puts in its place does not."""
    if connection.family == socket.AF_UNIX:
        return escaped()
    escaped(connection.getpeername()[:2] == address[:2])


@attempt
def connects_to_this_machine():
    stream(socket.AF_INET, ("127.0.0.1", int(E("E_TCP"))))


@attempt
def connects_to_this_machine_by_ipv6():
    stream(socket.AF_INET6, ("::1", int(E("E_TCP6"))))


@attempt
def connects_to_a_socket_file():
    stream(socket.AF_UNIX, E("E_UNIX"))


@attempt
def connects_to_an_abstract_socket():
    stream(socket.AF_UNIX, "\0" + E("E_ABSTRACT"))


@attempt
def sends_a_datagram_to_this_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        escaped(sender.sendto(b"x", ("127.0.0.1", int(E("E_UDP")))) == 1)


@attempt
def aims_at_the_metadata_address():
    # Nothing is sent: connecting a datagram socket only looks for the way.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("169.254.169.254", 80))
        escaped()


@attempt
def listens_on_this_machine():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        escaped()


@attempt
def listens_on_a_port_of_its_choice():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 11_000 + os.getpid() % 1000))
        listener.listen()
        escaped()


@attempt
def connects_to_this_machine_by_its_other_address():
    stream(socket.AF_INET, (E("E_OTHER"), int(E("E_OTHER_PORT"))))


@attempt
def connects_a_socket_again():
    address = ("127.0.0.1", int(E("E_TCP")))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        unspecified = ctypes.create_string_buffer(16)
        libc.connect(connection.fileno(), unspecified, 16)
        connection.connect(address)
        reached(connection, address)


@attempt
def connects_by_sending():
    address = ("127.0.0.1", int(E("E_TCP")))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.sendto(b"x", 0x20000000, address)
        reached(connection, address)


@attempt
def connects_by_a_message():
    address = ("127.0.0.1", int(E("E_TCP")))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.sendmsg([b"x"], [], 0x20000000, address)
        reached(connection, address)


@attempt
def frees_a_socket_from_its_device():
    address = (E("E_OTHER"), int(E("E_OTHER_PORT")))
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.setsockopt(socket.SOL_SOCKET, 25, b"\0")
        connection.connect(address)
        reached(connection, address)


@attempt
def sends_a_datagram_by_ipv6():
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        escaped(sender.sendto(b"x", ("::1", int(E("E_UDP6")))) == 1)


@attempt
def asks_for_a_name():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect(("127.0.0.1", int(E("E_UDP"))))
        escaped(asker.send(bytes(12) + b"\7example\0\0\1\0\1") > 0)


@attempt
def makes_a_socket_file():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind("socket")
        escaped()


@attempt
def sends_from_a_pair_to_a_socket_file():
    one, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    escaped(one.sendto(b"x", E("E_UNIX_DATAGRAM")) == 1)


@attempt
def opens_a_raw_socket():
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
    escaped()


@attempt
def opens_a_packet_socket():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    escaped()


@attempt
def asks_the_kernel_about_the_network():
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close()
    escaped()


@attempt
def opens_a_socket_to_the_host_of_a_virtual_machine():
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    escaped()


@attempt
def opens_a_socket_of_any_family():
    for family in range(1, 46):
        for kind in (1, 2, 3, 5):
            try:
                socket.socket(family, kind).close()
                return escaped()
            except OSError:
                pass


@attempt
def opens_a_message_queue():
    queue = call(number(240, 180), b"codeteam-escape-%d" % os.getpid(), os.O_RDWR | os.O_CREAT, 0o600, None)
    call(number(241, 181), b"codeteam-escape-%d" % os.getpid())
    escaped(queue)


@attempt
def uses_io_uring():
    escaped(call(425, 1, ctypes.create_string_buffer(120)))


@attempt
def uses_the_door_for_32_bit_programs():
    # mov eax, 359 (socket); mov ebx, 2; mov ecx, 1; xor edx, edx; int 0x80; ret
    code = bytes.fromhex("53b867010000bb02000000b90100000031d2cd805bc3")
    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    escaped(function() >= 0)


# Namespaces and mounts

NEWUSER, NEWNS, NEWNET = 0x10000000, 0x20000, 0x40000000


@attempt
def makes_a_user_namespace():
    escaped(call(number(272, 97), NEWUSER))


@attempt
def makes_a_mount_namespace():
    escaped(call(number(272, 97), NEWNS))


@attempt
def clones_into_a_namespace():
    child = call(number(56, 220), NEWUSER | NEWNET | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    escaped()


@attempt
def clones_into_a_namespace_by_the_newer_call():
    arguments = struct.pack("11Q", NEWUSER | NEWNET, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, 0)
    child = call(435, arguments, len(arguments))
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    escaped()


@attempt
def enters_a_namespace():
    call(number(308, 268), os.open("/proc/self/ns/uts", os.O_RDONLY), 0)
    escaped()


@attempt
def mounts_a_file_system():
    os.mkdir("mount")
    if libc.mount(b"none", b"mount", b"tmpfs", 0, None) != 0:
        raise OSError(ctypes.get_errno(), "mount")
    libc.umount2(b"mount", 0)
    escaped()


@attempt
def mounts_by_the_newer_calls():
    escaped(call(430, b"tmpfs", 0))


@attempt
def clones_a_mount():
    escaped(call(428, -100, b".", 1))


@attempt
def changes_its_root():
    os.chroot(".")
    escaped()


# Privileges and the kernel


@attempt
def becomes_another_user():
    os.setresuid(int(E("E_UID")), int(E("E_UID")), int(E("E_UID")))
    escaped(os.getuid() == int(E("E_UID")))


@attempt
def becomes_root_by_a_program_that_is_set_to():
    said = subprocess.run(["./becomes-root", "-c", "import os; print(os.geteuid())"], capture_output=True, text=True)
    escaped(said.stdout.strip() == "0")


@attempt
def leaves_its_groups():
    os.setgroups([0])
    escaped()


@attempt
def loads_a_program_into_the_kernel():
    escaped(call(number(321, 280), 0, struct.pack("IIII", 2, 4, 4, 1) + bytes(112), 128))


@attempt
def measures_the_kernel():
    attributes = struct.pack("IIQQQQQ", 1, 112, 0, 0, 0, 0, 1 << 5) + bytes(64)
    escaped(call(number(298, 241), attributes, 0, -1, -1, 0))


@attempt
def keeps_a_key():
    escaped(call(number(248, 217), b"user", b"codeteam-escape", b"x", 1, -2))


@attempt
def handles_page_faults():
    escaped(call(number(323, 282), 0))


@attempt
def shares_memory_with_the_machine():
    segment = call(number(29, 194), 0, 4096, 0o1600)
    call(number(31, 195), segment, 0, None)
    escaped()


@attempt
def hides_memory_in_a_file_without_a_name():
    escaped(call(number(319, 279), b"hidden", 0))


@attempt
def reads_the_log_of_the_kernel():
    escaped(call(number(103, 116), 10, None, 0))


@attempt
def renames_the_machine():
    name = platform.node().encode()
    escaped(call(number(170, 161), name, len(name)))


# Bombs, each with an end


@attempt
def starts_very_many_processes():
    children = []
    try:
        for _ in range(300):
            child = os.fork()
            if child == 0:
                time.sleep(20)
                os._exit(0)
            children.append(child)
        escaped()
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)


@attempt
def takes_very_much_memory_in_one_process():
    escaped(len(bytearray(400_000_000)) > 0)


@attempt
def takes_very_much_memory_in_many_processes():
    for _ in range(5):
        if os.fork() == 0:
            memory = bytearray(60_000_000)
            time.sleep(20)
            os._exit(len(memory) and 0)
    time.sleep(2)
    escaped()
    os.killpg(0, signal.SIGKILL)


@attempt
def writes_a_very_large_file():
    with open("large", "wb") as file:
        escaped(file.write(bytes(80_000_000)) == 80_000_000)


@attempt
def writes_very_many_files():
    for count in range(10):
        with open("part-%d" % count, "wb") as file:
            file.write(bytes(10_000_000))
    # Long enough for a machine that is busy: whoever is held ends much earlier.
    time.sleep(20)
    escaped()


# What must not outlive the command: the child writes down who it is, and the test looks whether it lives


def live_on():
    with open("alive", "w") as file:
        file.write(str(os.getpid()))
    os.closerange(0, 3)
    time.sleep(20)
    os._exit(0)


def wait_for_it():
    while not (os.path.exists("alive") and os.path.getsize("alive")):
        time.sleep(0.01)


@attempt
def outlives_as_a_daemon():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            live_on()
        os._exit(0)
    wait_for_it()


@attempt
def outlives_without_an_environment():
    if os.fork() == 0:
        os.setsid()
        script = "import os,time; open('alive','w').write(str(os.getpid())); os.closerange(0,3); time.sleep(20)"
        os.execve(sys.executable, [sys.executable, "-c", script], {})
    wait_for_it()


@attempt
def outlives_signals():
    if os.fork() == 0:
        os.setsid()
        for number_of in range(1, 32):
            if number_of not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number_of, signal.SIG_IGN)
        live_on()
    wait_for_it()


@attempt
def outlives_hidden_from_its_user():
    if os.fork() == 0:
        os.setsid()
        libc.prctl(4, 0, 0, 0, 0)
        live_on()
    wait_for_it()


@attempt
def outlives_as_a_sibling():
    child = call(number(56, 220), 0x8000 | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os.setsid()
        live_on()
    wait_for_it()


# Terminals


@attempt
def writes_to_a_terminal():
    with open(E("E_TERMINAL"), "w") as terminal:
        escaped(terminal.write("\033[2J") == 4)


@attempt
def types_into_a_terminal():
    _, terminal = os.openpty()
    os.setsid() if os.getpid() != os.getsid(0) else None
    fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)
    fcntl.ioctl(terminal, termios.TIOCSTI, b"x")
    escaped()


if __name__ == "__main__":
    if len(sys.argv) < 2:
        print("\n".join(ATTEMPTS))
    else:
        try:
            ATTEMPTS[sys.argv[1]]()
        except (OSError, MemoryError) as error:
            print("%s: %s" % (type(error).__name__, error))
