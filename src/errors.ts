/**
 * Every error that Godwit reports, as one table. A row says what the message is made of, how to mend it,
 * whether trying again may help, and what the CLI (exit) and the API (http) answer with.
 *
 * Exit codes: 2 usage, 3 not found, 4 refused before anything started, 5 failed (source runs on),
 * 6 cancelled, 7 held or lost (a person must look), 8 unreachable or timed out, 9 not allowed, 70 a defect.
 */
interface ErrorRow {
  /** Text with `{name}` places, filled from the error's facts. */
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly exit: number;
  readonly http: number;
}

export const ERRORS = {
  // What the user typed or configured
  GODWIT_USAGE: row('{what}', 'See `godwit help`.', false, 2, 400),
  GODWIT_CONFIG: row(
    '{file}: {what}',
    'Correct the file; docs/operating.md lists every setting.',
    false,
    2,
    500,
  ),
  GODWIT_PRIVILEGE: row(
    '{what} needs {needs}',
    'Run `godwit doctor` for what this host lacks.',
    false,
    9,
    403,
  ),
  GODWIT_HOST_LACKS: row(
    'this host lacks {what}',
    'Run `godwit doctor`; each of its lines names the mend.',
    false,
    4,
    422,
  ),

  // Things looked up by name
  GODWIT_HOST_UNKNOWN: row(
    'no host is called {host}',
    'Run `godwit hosts` for the names.',
    false,
    3,
    404,
  ),
  GODWIT_GUEST_UNKNOWN: row(
    'no guest is called {guest} on {host}',
    'Run `godwit guests` for the names.',
    false,
    3,
    404,
  ),
  GODWIT_MIGRATION_UNKNOWN: row(
    'no migration {id} on {host}',
    'Run `godwit migrations` for the list.',
    false,
    3,
    404,
  ),
  GODWIT_ROUTE_UNKNOWN: row(
    'there is no {method} {path}',
    'GET /openapi.json lists the API.',
    false,
    3,
    404,
  ),
  GODWIT_LAB_UNKNOWN: row('no lab called {lab} is up', 'Run `godwit lab up` first.', false, 3, 404),

  // Who may
  GODWIT_PEER_UNTRUSTED: row(
    '{peer} showed no certificate that this host trusts: {reason}',
    'Issue one from the same CA: `godwit pki issue`.',
    false,
    9,
    401,
  ),
  GODWIT_CERT_EXPIRED: row(
    'the certificate of {peer} expired on {date}',
    'Issue a new one: `godwit pki issue`, and check the clocks.',
    false,
    9,
    401,
  ),
  GODWIT_ROLE_FORBIDDEN: row(
    '{peer} has the role {role}; {action} needs {needs}',
    'Use a certificate with the needed role (`godwit pki issue --role`).',
    false,
    9,
    403,
  ),
  GODWIT_JOIN_TOKEN: row(
    'the join token was refused: {reason}',
    'Make a new one with `godwit pki issue NAME --join`; a token works once.',
    false,
    9,
    403,
  ),
  GODWIT_PKI: row('{what}', 'See `godwit pki --help`.', false, 5, 500),

  // The wire between processes
  GODWIT_PROTOCOL_VERSION: row(
    '{peer} speaks protocol {theirs}; this side speaks {ours}',
    'Upgrade the older of the two to a neighbouring version.',
    false,
    4,
    426,
  ),
  GODWIT_PROTOCOL_INVALID: row(
    '{peer} sent something that is not {expected}: {what}',
    'Check that both ends run released versions of Godwit.',
    false,
    5,
    400,
  ),
  GODWIT_TOO_LARGE: row(
    '{what} is larger than the limit of {limit} bytes',
    'Send less; the limits are in docs/protocol.md.',
    false,
    5,
    413,
  ),
  GODWIT_UNREACHABLE: row(
    '{peer} at {address} does not answer: {reason}',
    'Check that its agent runs and that the address and port are open.',
    true,
    8,
    503,
  ),
  GODWIT_DEADLINE: row(
    '{what} took longer than {deadlineMs} ms',
    'Try again; if it stays, look at the other end’s log.',
    true,
    8,
    504,
  ),
  GODWIT_OVERLOADED: row(
    '{what} is at its limit of {limit}',
    'Wait for running work to end, or raise the limit in the agent’s configuration.',
    true,
    8,
    429,
  ),

  // Refusals: found by a check, before anything starts
  GODWIT_GUEST_BUSY: row(
    '{guest} is already migrating: {id}, to {to}, in phase {phase}',
    'Follow it with `godwit watch {id}`, or stop it with `godwit cancel {id}`.',
    true,
    4,
    409,
  ),
  GODWIT_GUEST_MANAGED: row(
    '{guest} is managed by {manager}, which holds its QMP socket',
    'Move it through the manager, or start it with a second QMP socket for Godwit.',
    false,
    4,
    409,
  ),
  GODWIT_GUEST_STATE: row(
    '{guest} is {state}; only a running guest can be moved',
    'Resume the guest first.',
    true,
    4,
    409,
  ),
  GODWIT_SAME_HOST: row(
    '{guest} already runs on {host}',
    'Name another host with --to.',
    false,
    4,
    409,
  ),
  GODWIT_DEVICE_UNMOVABLE: row(
    'device {device} ({type}) of {guest} cannot move: {reason}',
    'Unplug the device, or replace it by one that can migrate.',
    false,
    4,
    422,
  ),
  GODWIT_DEVICE_UNMAPPED: row(
    '{device} of {guest} has no counterpart on {host}: {what}',
    'Add what it needs on the destination, or map it in the agent’s configuration.',
    false,
    4,
    422,
  ),
  GODWIT_DISK_LOCAL: row(
    'disk {device} of {guest} ({file}) cannot move yet',
    'Detach it; moving disks is not part of this version.',
    false,
    4,
    422,
  ),
  GODWIT_NAME_IN_USE: row(
    '{host} already has a guest called {guest}',
    'Rename or remove that guest.',
    false,
    4,
    409,
  ),
  GODWIT_MEMORY_SHORT: row(
    '{host} has {availableBytes} bytes of memory free and {guest} needs {neededBytes}',
    'Free memory there, or choose another host.',
    true,
    4,
    507,
  ),
  GODWIT_PORT_NONE: row(
    '{host} has no free port from {from} to {to}',
    'Widen `ports` in the agent’s configuration, or wait for other migrations.',
    true,
    4,
    503,
  ),
  GODWIT_MACHINE_TYPE: row(
    '{host} has no QEMU that knows machine type {machine} (newest there: {version})',
    'Install a QEMU there that is at least as new as the source’s.',
    false,
    4,
    422,
  ),
  GODWIT_CPU_FEATURE: row(
    '{host} cannot give {guest} the processor features it uses: {features}',
    'Choose a host with them, or start the guest with a processor model that both share.',
    false,
    4,
    422,
  ),
  GODWIT_ACCELERATOR: row(
    '{guest} runs on {accel}, which {host} does not offer',
    'Choose a host with the same accelerator.',
    false,
    4,
    422,
  ),
  GODWIT_CAPABILITY: row(
    '{what} is not possible here: {reason}',
    'Leave the option out, or upgrade QEMU on the side named.',
    false,
    4,
    422,
  ),
  GODWIT_ID_REUSED: row(
    'migration {id} exists already with another request',
    'Let the caller make a new id.',
    false,
    4,
    409,
  ),

  // A migration under way
  GODWIT_HYPERVISOR: row(
    '{hypervisor} on {host} refused `{command}`: {reason}',
    'The message is the hypervisor’s own; its log is beside the migration’s.',
    false,
    5,
    502,
  ),
  GODWIT_HYPERVISOR_LOST: row(
    'the {side} hypervisor of {guest} is gone: {reason}',
    'Look at its log; a source that is gone is the guest’s own end.',
    false,
    5,
    502,
  ),
  GODWIT_STREAM_FAILED: row(
    'the memory stream of {guest} broke: {reason}',
    'Check the link between the hosts; the guest runs on at the source.',
    true,
    5,
    502,
  ),
  GODWIT_NOT_CONVERGED: row(
    '{guest} dirties {dirtyRate} bytes/s and the link takes {rate} bytes/s: no end within {timeoutMs} ms',
    'Use --mode hybrid, a higher --max-downtime or more bandwidth.',
    true,
    5,
    504,
  ),
  GODWIT_DESTINATION_FAILED: row(
    '{host} could not go on: {reason}',
    'Its report tells more: `godwit report` there.',
    true,
    5,
    502,
  ),
  GODWIT_STEP_FAILED: row(
    'step {step} failed: {reason}',
    'The report names the cause; the source runs on.',
    true,
    5,
    500,
  ),
  GODWIT_CANCELLED: row(
    'the migration of {guest} was cancelled; it runs on at {host}',
    'Start it again when you like.',
    true,
    6,
    409,
  ),
  GODWIT_CANCEL_TOO_LATE: row(
    '{id} is past the point of no return ({phase})',
    'Let it end, then move the guest back.',
    false,
    5,
    409,
  ),
  GODWIT_HELD: row(
    '{guest} is held paused: {reason}',
    'Find out which host holds the guest before you resume either copy.',
    false,
    7,
    409,
  ),
  GODWIT_LOST: row('{guest} was lost: {reason}', 'Start it again from its disks.', false, 7, 410),
  GODWIT_NOT_ARMED: row(
    '{host} does not hold the right to run {guest} under epoch {epoch}: {reason}',
    'Nothing to do: the other side decides.',
    false,
    5,
    409,
  ),

  // The lab
  GODWIT_LAB: row(
    '{what}',
    'Run `godwit lab down` and try again; `godwit doctor` names what is missing.',
    false,
    5,
    500,
  ),

  // Defects
  GODWIT_INTERNAL: row(
    '{what}',
    'This is a defect of Godwit: please report it with the log.',
    false,
    70,
    500,
  ),
} as const;

export type ErrorCode = keyof typeof ERRORS;

type Places<M extends string> = M extends `${string}{${infer P}}${infer Rest}`
  ? P | Places<Rest>
  : never;
export type ErrorFacts<C extends ErrorCode> = {
  readonly [K in Places<(typeof ERRORS)[C]['message']>]: string | number;
};

function row<const M extends string>(
  message: M,
  hint: string,
  retryable: boolean,
  exit: number,
  http: number,
): ErrorRow & { readonly message: M } {
  return { message, hint, retryable, exit, http };
}

/** What crosses a wire or goes into a journal. */
export interface SerialError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, string | number>>;
}

export class GodwitError extends Error {
  override readonly name = 'GodwitError';
  readonly code: ErrorCode;
  readonly hint: string;
  readonly retryable: boolean;
  readonly facts: Readonly<Record<string, string | number>>;

  constructor(serial: SerialError, options?: { cause?: unknown }) {
    super(serial.message, options);
    this.code = serial.code;
    this.hint = serial.hint;
    this.retryable = serial.retryable;
    this.facts = serial.facts;
  }

  get exit(): number {
    return ERRORS[this.code].exit;
  }

  get http(): number {
    return ERRORS[this.code].http;
  }

  toJSON(): SerialError {
    const { code, message, hint, retryable, facts } = this;
    return { code, message, hint, retryable, facts };
  }
}

/** Makes an error of the table. `facts` must fill every place of the row's message. */
export function godwitError<C extends ErrorCode>(
  code: C,
  facts: ErrorFacts<C>,
  options: { readonly hint?: string; readonly cause?: unknown } = {},
): GodwitError {
  const { message, hint, retryable } = ERRORS[code];
  const fill = (text: string): string =>
    text.replace(/\{(\w+)\}/g, (place, name: string) => {
      const value = (facts as Record<string, string | number>)[name];
      return value === undefined ? place : String(value);
    });
  const serial = {
    code,
    message: fill(message),
    hint: fill(options.hint ?? hint),
    retryable,
    facts,
  };
  return new GodwitError(serial, 'cause' in options ? { cause: options.cause } : undefined);
}

/** Whatever was thrown, as an error of the table; what is not one of ours is a defect, with its cause kept. */
export function toGodwitError(thrown: unknown): GodwitError {
  if (thrown instanceof GodwitError) return thrown;
  const what = thrown instanceof Error ? thrown.message : String(thrown);
  return godwitError('GODWIT_INTERNAL', { what }, { cause: thrown });
}

/** True for an error of the table with one of these codes. */
export function hasCode(thrown: unknown, ...codes: readonly ErrorCode[]): thrown is GodwitError {
  return thrown instanceof GodwitError && codes.includes(thrown.code);
}
