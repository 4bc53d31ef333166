#!/usr/bin/env node
import { txnlogTool } from '../dist/node/txnlog-tool.js';

process.exitCode = await txnlogTool(process.argv.slice(2), {
  print: (line) => process.stdout.write(`${line}\n`),
  complain: (line) => process.stderr.write(`${line}\n`),
});
