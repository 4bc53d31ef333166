/** The original's exit codes (`ExitCode` of its server). */
export const ExitCode = { OK: 0, FAILED: 1, BAD_INVOCATION: 2, DATA_FOLDER: 3, ADMIN_SERVER: 4 } as const;
