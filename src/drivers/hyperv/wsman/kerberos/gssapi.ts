import { createRequire } from 'node:module';

/**
 * Calls the system's Kerberos (MIT's libgssapi_krb5) through koffi. Its calls may wait for a KDC without a
 * limit, so only a process that can be killed uses them (login-main.ts).
 */

const LIBRARY = 'libgssapi_krb5.so.2';
const KRB5 = Buffer.from('2a864886f712010202', 'hex');
/** GSS_KRB5_NT_PRINCIPAL_NAME: the name is used literally, without DNS. */
const PRINCIPAL = Buffer.from('2a864886f71201020201', 'hex');
const INITIATE = 1;
const MUTUAL = 2;
const MECHANISM_CODE = 2;
const CONTINUE_NEEDED = 1;
/** Error bits of a major status. */
const ERRORS = 0xffff0000;
const MAX_TOKEN = 65_536;
/** Base of Kerberos's error table. */
const KRB5_BASE = 2_529_638_912;

export class GssError extends Error {
  readonly stage: 'library' | 'ticket' | 'service' | 'context';
  /** Relative to the base of Kerberos's error table, like the numbers of RFC 4120 and MIT's krb5_err. */
  readonly number: number;

  constructor(stage: GssError['stage'], number: number, words: string) {
    super(words);
    this.stage = stage;
    this.number = number;
  }
}

export interface GssRequest {
  /** `user@REALM` */
  readonly user: string;
  readonly password: string;
  /** `HTTP/host` */
  readonly service: string;
  /** Hash of the server's certificate by RFC 5929; undefined: no binding. */
  readonly hash: Buffer | undefined;
}

type Call = (...args: readonly unknown[]) => number;
interface Koffi {
  load(file: string): { func(signature: string): Call };
  struct(name: string, members: object): unknown;
  decode(pointer: unknown, type: string, length: number): unknown;
  address(value: Buffer): bigint;
}
interface Bytes {
  readonly length: number | bigint;
  readonly value: unknown;
}

/** Login at one service. Its tickets stay in this process's memory and end with it. */
export class GssLogin {
  readonly #koffi: Koffi;
  readonly #calls: ReturnType<typeof callsOf>;
  readonly #bindings: object | null;
  readonly #context = [null];
  readonly #credential: unknown;
  readonly #target: unknown;

  /** Requests a ticket for the user. Throws GssError. */
  constructor({ user, password, service, hash }: GssRequest) {
    try {
      this.#koffi = createRequire(import.meta.url)('koffi') as Koffi;
      this.#calls = callsOf(this.#koffi);
    } catch (cause) {
      const words = cause instanceof Error ? (cause.message.split('\n')[0] ?? '') : String(cause);
      throw new GssError('library', 0, words);
    }
    this.#bindings = hash === undefined ? null : bindingsTo(Buffer.concat([PREFIX, hash]));
    const [name, credential] = [this.#name(user, 'ticket'), [null]];
    const mechanism = this.#oid(KRB5);
    this.#check('ticket', (minor) =>
      this.#calls.acquire(
        minor,
        name,
        bytesOf(Buffer.from(password)),
        0,
        { count: 1, elements: mechanism },
        INITIATE,
        credential,
        null,
        null,
      ),
    );
    this.#credential = credential[0];
    // The user's KDC may refer to others if the realm is empty.
    this.#target = this.#name(`${service}@`, 'service');
  }

  /** Message to the server. Throws GssError if the realm issues no ticket for it. */
  begin(): Buffer {
    const { token, isOver } = this.#step('service', null);
    if (isOver || token.length === 0) throw new GssError('context', 0, 'it would trust anybody');
    return token;
  }

  /** Verifies that the server has the service's key. Throws GssError if it does not. */
  finish(answer: Buffer): void {
    if (answer.length > MAX_TOKEN) throw new GssError('context', 0, 'its answer is too long');
    if (!this.#step('context', answer).isOver) throw new GssError('context', 0, 'it asks for more');
  }

  #step(
    stage: GssError['stage'],
    input: Buffer | null,
  ): { readonly token: Buffer; readonly isOver: boolean } {
    const out: Partial<Bytes> = {};
    const major = this.#check(stage, (minor) =>
      this.#calls.initiate(
        minor,
        this.#credential,
        this.#context,
        this.#target,
        { length: KRB5.length, elements: KRB5 },
        MUTUAL,
        0,
        this.#bindings,
        input === null ? null : bytesOf(input),
        null,
        out,
        null,
        null,
      ),
    );
    return { token: this.#read(out), isOver: (major & CONTINUE_NEEDED) === 0 };
  }

  #name(text: string, stage: GssError['stage']): unknown {
    const out = [null];
    const type = { length: PRINCIPAL.length, elements: PRINCIPAL };
    this.#check(stage, (minor) =>
      this.#calls.importName(minor, bytesOf(Buffer.from(text)), type, out),
    );
    return out[0];
  }

  /** Entry of an OID set: length and pointer. */
  #oid(bytes: Buffer): Buffer {
    const oid = Buffer.alloc(16);
    oid.writeUInt32LE(bytes.length, 0);
    oid.writeBigUInt64LE(this.#koffi.address(bytes), 8);
    return oid;
  }

  #check(stage: GssError['stage'], call: (minor: number[]) => number): number {
    const minor = [0];
    const major = call(minor);
    if ((major & ERRORS) === 0) return major;
    const [code = 0] = minor;
    const out: Partial<Bytes> = {};
    const mechanism = { length: KRB5.length, elements: KRB5 };
    this.#calls.display([0], code, MECHANISM_CODE, mechanism, [0], out);
    throw new GssError(stage, code - KRB5_BASE, this.#read(out).toString());
  }

  #read({ length = 0, value }: Partial<Bytes>): Buffer {
    const bytes = Math.min(Number(length), MAX_TOKEN);
    if (bytes === 0) return Buffer.alloc(0);
    return Buffer.from(this.#koffi.decode(value, 'uint8_t', bytes) as Uint8Array);
  }
}

const PREFIX = Buffer.from('tls-server-end-point:');
const NONE: Bytes = { length: 0, value: null };

function bytesOf(value: Buffer): Bytes {
  return { length: value.length, value };
}

function bindingsTo(data: Buffer): object {
  return { fromType: 0, from: NONE, toType: 0, to: NONE, data: bytesOf(data) };
}

function callsOf(koffi: Koffi): Record<'importName' | 'acquire' | 'initiate' | 'display', Call> {
  koffi.struct('gss_buffer', { length: 'size_t', value: 'void *' });
  koffi.struct('gss_oid', { length: 'uint32_t', elements: 'void *' });
  koffi.struct('gss_oids', { count: 'size_t', elements: 'void *' });
  koffi.struct('gss_bindings', {
    fromType: 'uint32_t',
    from: 'gss_buffer',
    toType: 'uint32_t',
    to: 'gss_buffer',
    data: 'gss_buffer',
  });
  const library = koffi.load(LIBRARY);
  return {
    importName: library.func(
      'uint32_t gss_import_name(_Out_ uint32_t *minor, gss_buffer *name, gss_oid *type, _Out_ void **out)',
    ),
    acquire: library.func(
      'uint32_t gss_acquire_cred_with_password(_Out_ uint32_t *minor, void *name, gss_buffer *password, uint32_t seconds, gss_oids *mechanisms, int usage, _Out_ void **out, void *actual, void *received)',
    ),
    initiate: library.func(
      'uint32_t gss_init_sec_context(_Out_ uint32_t *minor, void *credential, _Inout_ void **context, void *target, gss_oid *mechanism, uint32_t flags, uint32_t seconds, gss_bindings *bindings, gss_buffer *input, void *actual, _Out_ gss_buffer *output, void *received, void *lifetime)',
    ),
    display: library.func(
      'uint32_t gss_display_status(_Out_ uint32_t *minor, uint32_t value, int type, gss_oid *mechanism, _Inout_ uint32_t *more, _Out_ gss_buffer *out)',
    ),
  };
}
