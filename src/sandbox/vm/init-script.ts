/** The second serial line, which nobody else writes to. */
const LINE = '/dev/ttyS1';

/** Where the command to run lies inside, as a shell script. */
export const COMMAND_FILE = 'vm/command';
export const INIT_FILE = 'init';
/** Not busybox: its shell runs its own `ip` and `modprobe`, which know less, before it looks at PATH. */
export const SHELL = 'usr/bin/sh';
/** The small programs that the packages do not bring. */
export const BUSYBOX = 'bb/busybox';
/** The project's folder inside, and the working directory of the command. */
export const PROJECT = '/work';

/** What the machine prints when the command has ended; followed by the exit code and a line end. */
export function exitMark(token: string): string {
  return `switchyard-vm-exit ${token} `;
}

/** What of the file system a disk keeps from one boot to the next; everything else is new with each boot. */
const KEPT_FOLDERS = ['etc/sysctl.d', 'etc/modules-load.d', 'var/lib/switchyard', 'disk/kept'];

/** The disk is made by the first boot that has it. The machine is never unmounted: each end is a cut of its power. */
const MOUNT_DISK = `
modprobe -a virtio_pci virtio_blk
mkdir -p /disk
mount -t ext4 /dev/vda /disk || {
  mke2fs -q -t ext4 /dev/vda && mount -t ext4 /dev/vda /disk || finish 125
}
for folder in ${KEPT_FOLDERS.join(' ')}; do
  mkdir -p /disk/$folder /$folder
  mount --bind /disk/$folder /$folder
done`;

export interface InitOptions {
  readonly modules: readonly string[];
  readonly hasDisk: boolean;
}

/** The first process inside: makes a system that the tests can run in, runs the command, and turns the machine off. */
export function initScript(token: string, { modules, hasDisk }: InitOptions): string {
  return `#!/${SHELL}
/${BUSYBOX} mkdir -p /proc /sys /dev /tmp /run /root
/${BUSYBOX} --install -s /bb
export PATH=/usr/sbin:/sbin:/usr/bin:/bin:/bb HOME=/root LC_ALL=C
# What one process has compiled, the others need not: it takes seconds here.
export NODE_COMPILE_CACHE=/tmp/compiled
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -sf /proc/self/fd /dev/fd
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run
mkdir -p /run/netns /run/lock
stty -F ${LINE} raw -echo
finish() {
  echo "${exitMark(token)}$1" > ${LINE}
  reboot -f
}
ip link set lo up${hasDisk ? MOUNT_DISK : ''}
for module in ${modules.join(' ')}; do
  modprobe "$module" 2> ${LINE} || finish 125
done
cd ${PROJECT}
sh /${COMMAND_FILE} < /dev/null > ${LINE} 2>&1
finish $?
`;
}

/** The shell script that runs `argv` as it is. */
export function commandScript(argv: readonly string[]): string {
  const quoted = argv.map((argument) => `'${argument.replaceAll("'", `'\\''`)}'`);
  return `exec ${quoted.join(' ')}\n`;
}
