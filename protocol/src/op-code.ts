/** Operation codes of the client protocol and of transactions (ZooKeeper's `ZooDefs.OpCode`). */
export const OpCode = {
  /** Not a request: the xid -1 marks a notification. */
  notification: 0,
  create: 1,
  delete: 2,
  exists: 3,
  getData: 4,
  setData: 5,
  getACL: 6,
  setACL: 7,
  getChildren: 8,
  sync: 9,
  ping: 11,
  getChildren2: 12,
  check: 13,
  multi: 14,
  create2: 15,
  reconfig: 16,
  checkWatches: 17,
  removeWatches: 18,
  createContainer: 19,
  deleteContainer: 20,
  createTTL: 21,
  multiRead: 22,
  auth: 100,
  setWatches: 101,
  sasl: 102,
  getEphemerals: 103,
  getAllChildrenNumber: 104,
  setWatches2: 105,
  addWatch: 106,
  whoAmI: 107,
  createSession: -10,
  closeSession: -11,
  /** Only as the type of a transaction: a write that was refused. */
  error: -1,
} as const;
export type OpCode = (typeof OpCode)[keyof typeof OpCode];

const names = new Map<number, string>(Object.entries(OpCode).map(([name, code]) => [code, name]));

/** The name of an operation code, or the number itself for one that this version doesn't know. */
export const opCodeName = (code: number): string => names.get(code) ?? String(code);

export const isOpCode = (code: number): code is OpCode => names.has(code);
