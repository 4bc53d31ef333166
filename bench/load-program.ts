/**
 * The program that makes the load, named by ZKLOAD: one that takes nearly nothing of the machine from what it measures, unlike a
 * load generator in Node. What it must understand is in the callers; its answer is one line of JSON.
 */
import { spawn } from 'node:child_process';

/** What the load program answers, as far as it is looked at here. */
export interface LoadReport {
  readonly ops_per_s: number;
  readonly ops_per_cpu_s: number;
  /** The longest time without any reply. */
  readonly max_gap_ms: number;
  /** By kind of request. */
  readonly latency_us: Readonly<Record<string, { readonly p99: number; readonly p50: number; readonly max: number }>>;
}

/** Options of the load program, without their dashes. */
export type LoadOptions = Readonly<Record<string, string | number | true>>;

/** Whom the load is for, and whose CPU time counts. */
export interface LoadTarget {
  /** `host:port`, one after the other, with commas. Connections go to them in turns. */
  readonly hosts: string;
  readonly pids: readonly number[];
}

export async function runLoad({ hosts, pids }: LoadTarget, options: LoadOptions): Promise<LoadReport> {
  const program = process.env.ZKLOAD;
  if (program === undefined) throw new Error('ZKLOAD names the program that makes the load');
  const all: LoadOptions = { hosts, pid: pids.join(','), json: true, ...options };
  const words = Object.entries(all).flatMap(([name, value]) =>
    value === true ? [`--${name}`] : [`--${name}`, `${value}`],
  );
  const child = spawn(program, words, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (bytes) => (output += bytes.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new Error(`${program} ${words.join(' ')} ended with ${code}`);
  return JSON.parse(output) as LoadReport; // The program's own format.
}
