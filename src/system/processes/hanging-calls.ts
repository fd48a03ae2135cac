/**
 * Calls of the kernel that run beside this thread and that nobody can cancel: a process in which one hangs is used for
 * nothing else. Node does not list those that go through a native library among what keeps it.
 */
let underWay = 0;

/** Resolves or rejects as the call does, and counts it until then. */
export async function countedCall<T>(call: Promise<T>): Promise<T> {
  underWay += 1;
  try {
    return await call;
  } finally {
    underWay -= 1;
  }
}

export const callsUnderWay = (): number => underWay;
