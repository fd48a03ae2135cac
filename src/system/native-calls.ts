import { createRequire } from 'node:module';

/** Calls functions of loaded libraries through koffi. */

/** `R`: string for functions that return text. */
export type NativeCall<R = never> = (...args: readonly unknown[]) => number | bigint | R;
export interface AsyncNativeCall<R = never> extends NativeCall<R> {
  async(...args: readonly unknown[]): void;
}

/** The used part of koffi, whose types exist only if it is installed. */
interface Koffi {
  load(file: null): { func(signature: string): AsyncNativeCall<string> };
  errno(): number;
  readonly address: (value: unknown) => bigint;
  view(at: bigint, bytes: number): ArrayBuffer;
}

export interface NativeLibrary<Name extends string, R = never> {
  readonly koffi: Koffi;
  readonly calls: Readonly<Record<Name, AsyncNativeCall<R>>>;
}

/** `signatures`: in C, by name. koffi is loaded on first use, because most processes need none. */
export function nativeLibrary<Name extends string, R = never>(
  signatures: Readonly<Record<Name, string>>,
): () => NativeLibrary<Name, R> {
  let loaded: NativeLibrary<Name, R> | undefined;
  return () => {
    if (loaded === undefined) {
      const koffi = createRequire(import.meta.url)('koffi') as Koffi;
      const program = koffi.load(null);
      const calls = Object.entries<string>(signatures).map(([name, signature]) => [
        name,
        program.func(signature),
      ]);
      loaded = { koffi, calls: Object.fromEntries(calls) as NativeLibrary<Name, R>['calls'] };
    }
    return loaded;
  };
}
