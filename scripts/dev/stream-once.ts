// One stream copy in a process of its own, for the benchmark: how long it took, and the most memory that the process ever had.
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { streamInto } from '../../app/core/db-operations/copy/stream/stream-into.js';

const copy = JSON.parse(process.env.BENCH_STREAM ?? '');
const start = performance.now();
await streamInto({ ...copy, leaveOut: { largeObjects: false, rowsOf: [] }, controls: {} });
const ms = performance.now() - start;
const peakKb = Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
process.stdout.write(`${JSON.stringify({ ms, peakMb: peakKb / 1024 })}\n`);
