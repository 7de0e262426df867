import koffi from 'koffi';

/**
 * Runs a program under what the profile RuntimeDefault of container runtimes refuses to a container with NET_ADMIN and
 * SYS_MODULE only: `node seccomp-wrapper.ts PROGRAM ARGUMENT...`. For amd64.
 */

/** Numbers of the table syscall_64.tbl. What SYS_MODULE opens (init_module and its kin) is not among them. */
const REFUSED: Readonly<Record<string, number>> = {
  ustat: 136,
  sysfs: 139,
  uselib: 134,
  vhangup: 153,
  pivot_root: 155,
  _sysctl: 156,
  acct: 163,
  chroot: 161,
  settimeofday: 164,
  mount: 165,
  umount2: 166,
  swapon: 167,
  swapoff: 168,
  reboot: 169,
  sethostname: 170,
  setdomainname: 171,
  iopl: 172,
  ioperm: 173,
  syslog: 103,
  quotactl: 179,
  lookup_dcookie: 212,
  clock_settime: 227,
  mbind: 237,
  set_mempolicy: 238,
  get_mempolicy: 239,
  kexec_load: 246,
  add_key: 248,
  request_key: 249,
  keyctl: 250,
  unshare: 272,
  move_pages: 279,
  perf_event_open: 298,
  fanotify_init: 300,
  open_by_handle_at: 304,
  clock_adjtime: 305,
  setns: 308,
  kexec_file_load: 320,
  bpf: 321,
  userfaultfd: 323,
  io_uring_setup: 425,
  io_uring_enter: 426,
  io_uring_register: 427,
  open_tree: 428,
  move_mount: 429,
  fsopen: 430,
  fsconfig: 431,
  fsmount: 432,
  fspick: 433,
  mount_setattr: 442,
  quotactl_fd: 443,
};
const CLONE = 56;
const CLONE3 = 435;
const SOCKET = 41;
const AF_VSOCK = 40;
/** Every CLONE_NEW flag. */
const NAMESPACES = 0x7e020000;

/** linux/filter.h, linux/seccomp.h, linux/audit.h, linux/prctl.h */
const LOAD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const ALLOW = 0x7fff0000;
const ERRNO = 0x00050000;
const EPERM = 1;
const ENOSYS = 38;
const ARCH_X86_64 = 0xc000003e;
const OFFSET = { number: 0, arch: 4, firstArgument: 16 };
const PR_SET_SECCOMP = 22;
const SECCOMP_MODE_FILTER = 2;
const PR_SET_NO_NEW_PRIVS = 38;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

const load = (offset: number): Instruction => [LOAD, 0, 0, offset];
const refuse = (errno: number): Instruction => [RETURN, 0, 0, ERRNO | errno];
/** The next instruction only for this number; otherwise the one after it. */
const onlyFor = (number: number): Instruction => [JUMP_IF_EQUAL, 0, 1, number];

const PROGRAM: readonly Instruction[] = [
  load(OFFSET.arch),
  [JUMP_IF_EQUAL, 1, 0, ARCH_X86_64],
  refuse(EPERM),
  load(OFFSET.number),
  ...Object.values(REFUSED).flatMap((number) => [onlyFor(number), refuse(EPERM)]),
  onlyFor(CLONE3),
  refuse(ENOSYS),
  [JUMP_IF_EQUAL, 0, 4, CLONE],
  load(OFFSET.firstArgument),
  [JUMP_IF_ANY_BIT, 0, 1, NAMESPACES],
  refuse(EPERM),
  [RETURN, 0, 0, ALLOW],
  [JUMP_IF_EQUAL, 0, 3, SOCKET],
  load(OFFSET.firstArgument),
  onlyFor(AF_VSOCK),
  refuse(EPERM),
  [RETURN, 0, 0, ALLOW],
];

function install(): void {
  const filter = Buffer.alloc(PROGRAM.length * 8);
  for (const [index, [code, ifTrue, ifFalse, k]] of PROGRAM.entries()) {
    filter.writeUInt16LE(code, index * 8);
    filter.writeUInt8(ifTrue, index * 8 + 2);
    filter.writeUInt8(ifFalse, index * 8 + 3);
    filter.writeUInt32LE(k, index * 8 + 4);
  }
  koffi.struct('sock_fprog', { len: 'uint16_t', filter: 'void *' });
  const libc = koffi.load('libc.so.6');
  const number = 'unsigned long';
  const forbid = libc.func(`int prctl(int, ${number}, ${number}, ${number}, ${number})`);
  const setFilter = libc.func(`int prctl(int, ${number}, sock_fprog *, ${number}, ${number})`);
  if (forbid(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) !== 0) throw new Error('no_new_privs is refused');
  const program = { len: PROGRAM.length, filter };
  if (setFilter(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) !== 0) throw new Error('the filter is refused');
}

const [program, ...rest] = process.argv.slice(2);
if (program === undefined) throw new Error('no program');
install();
process.execve?.(program, [program, ...rest], process.env);
