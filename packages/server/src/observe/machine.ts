/** Machine: how busy this machine and this process are, as the operating system has it. */
import { cpus, freemem, loadavg, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';

/** One look at the machine. Shares are from 0 to 1. */
export interface MachineLoad {
  /** Busy share of each core since the last look. */
  readonly cpu: readonly number[];
  /** Processes that want to run, averaged over the last minute. */
  readonly load: number;
  /** Bytes. */
  readonly memory: { readonly used: number; readonly total: number };
  readonly server: {
    /** Bytes of memory of this process, and of its JavaScript heap. */
    readonly rss: number;
    readonly heap: number;
    /** Share of one core that this process took since the last look. */
    readonly cpu: number;
    /** How late the event loop was at the worst since the last look, in milliseconds. */
    readonly lagMs: number;
  };
}

/** How exactly the event loop's delay is sampled. */
const LAG_RESOLUTION_MS = 20;

/** Looks at the machine; each look covers the time since the one before. */
export class MachineMeter {
  readonly #lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  #cores = coreTimes();
  #process = process.cpuUsage();
  #atMs: number;

  constructor(nowMs: number) {
    this.#atMs = nowMs;
    this.#lag.enable();
  }

  /** @param nowMs monotonic time. */
  look(nowMs: number): MachineLoad {
    const cores = coreTimes();
    const cpu = cores.map((core, index) => {
      const before = this.#cores[index] ?? core;
      const total = core.total - before.total;
      return total <= 0 ? 0 : share((core.busy - before.busy) / total);
    });
    const used = process.cpuUsage(this.#process);
    const elapsedMs = Math.max(1, nowMs - this.#atMs);
    const lagMs = Math.max(0, this.#lag.max / 1e6 - LAG_RESOLUTION_MS);
    this.#cores = cores;
    this.#process = process.cpuUsage();
    this.#atMs = nowMs;
    this.#lag.reset();
    const { rss, heapUsed } = process.memoryUsage();
    return {
      cpu,
      load: round(loadavg()[0] ?? 0, 2),
      memory: { used: totalmem() - freemem(), total: totalmem() },
      server: {
        rss,
        heap: heapUsed,
        cpu: round((used.user + used.system) / 1000 / elapsedMs, 3),
        lagMs: round(lagMs, 1),
      },
    };
  }

  /** Stops the sampling. */
  close(): void {
    this.#lag.disable();
  }
}

function coreTimes(): { readonly busy: number; readonly total: number }[] {
  return cpus().map(({ times }) => {
    const total = times.user + times.nice + times.sys + times.idle + times.irq;
    return { busy: total - times.idle, total };
  });
}

function share(value: number): number {
  return round(Math.min(1, Math.max(0, value)), 3);
}

function round(value: number, digits: number): number {
  const factor = 10 ** digits;
  return Math.round(value * factor) / factor;
}
