/**
 * Kernel calls on other threads that cannot be cancelled: a process with a hanging one must not be reused. Node does
 * not count calls through a native library as active.
 */
let underWay = 0;

export async function countedCall<T>(call: Promise<T>): Promise<T> {
  underWay += 1;
  try {
    return await call;
  } finally {
    underWay -= 1;
  }
}

export const callsUnderWay = (): number => underWay;
