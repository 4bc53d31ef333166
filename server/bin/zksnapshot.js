#!/usr/bin/env node
import { snapshotTool } from '../dist/node/snapshot-tool.js';

process.exitCode = snapshotTool(process.argv.slice(2), {
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
});
