import { readdirSync, readFileSync } from 'node:fs';
import { Counter, Gauge, type Registry } from 'prom-client';

/**
 * The process under the names of Prometheus' own clients. Read when somebody asks: prom-client's default metrics wake the
 * process a hundred times a second to measure its event loop.
 */
export function registerProcessMetrics(registry: Registry): void {
  const startedAtSeconds = Math.round(Date.now() / 1_000 - process.uptime());
  const gauge = (name: string, help: string, read: () => number) =>
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  gauge('process_start_time_seconds', 'When the process started.', () => startedAtSeconds);
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    registers: [registry],
    collect() {
      const { user, system } = process.cpuUsage();
      this.reset();
      this.inc((user + system) / 1e6);
    },
  });
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss());
  gauge('process_virtual_memory_bytes', 'Virtual memory.', () => pagesOf('statm') * PAGE_BYTES);
  gauge('process_max_fds', 'Open file descriptors that the process may have.', maxOpenFiles);
  gauge('process_open_fds', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length);
  gauge('nodejs_heap_size_used_bytes', 'Heap in use.', () => process.memoryUsage().heapUsed);
  gauge('nodejs_heap_size_total_bytes', 'Heap taken from the system.', () => process.memoryUsage().heapTotal);
}

/** On amd64, and on arm64 as distributions build it. */
const PAGE_BYTES = 4_096;

/** The first number of a file of /proc/self. */
function pagesOf(file: string): number {
  return Number.parseInt(readFileSync(`/proc/self/${file}`, 'utf8'), 10);
}

function maxOpenFiles(): number {
  const soft = /^Max open files\s+(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
  return soft === undefined || soft === 'unlimited' ? Infinity : Number(soft);
}
