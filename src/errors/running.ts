import { row } from './row.ts';

/** Errors of a migration under way, of the lab, and defects. */
export const runningErrors = {
  // A migration under way
  GODWIT_HYPERVISOR: row(
    '{hypervisor} on {host} refused `{command}`: {reason}',
    'The message is the hypervisor’s own; its log is beside the migration’s.',
    false,
    5,
    502,
  ),
  GODWIT_HOOK_FAILED: row(
    'the hook {hook} of {host} failed: {reason}',
    'It is this site’s own program, in the directory `hooks` of the agent’s configuration there; the guest runs on at the source.',
    true,
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
  GODWIT_DISK_DIFFERS: row(
    'disk {device} of {guest} is not the same at {host} as it was at the switch, first at byte {at}',
    'The guest runs at {host}. Its images at the source are kept as NAME.moved-ID: find out which are right before you remove them.',
    false,
    5,
    409,
  ),
  GODWIT_DISK_UNVERIFIED: row(
    'whether the disks of {guest} are the same at {host} could not be found out: {reason}',
    'The guest runs at {host}. Its images at the source are kept as NAME.moved-ID.',
    false,
    5,
    502,
  ),
  GODWIT_DISK_MOVE_CANCELLED: row(
    'the move of disk {device} of {guest} was cancelled; the guest runs on with {file}',
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
  GODWIT_TAKEN_BACK: row(
    '{guest} was taken back to {host}, where it runs on: {by}',
    'Nothing to do; the other host takes its copy down when it hears of it.',
    true,
    5,
    409,
  ),
  GODWIT_RESOLVE_REFUSED: row(
    '{id} cannot be resolved to run {guest} at the {runAt}: {reason}',
    '`godwit resolve {id}` shows what is known of both hosts.',
    false,
    4,
    409,
  ),
  GODWIT_RESOLVE_UNPROVED: row(
    'nothing proves that {guest} does not run at {host} too: {reason}',
    'Make sure that {host} is off, or does not run it, and say so with --yes-i-know.',
    false,
    7,
    409,
  ),
  GODWIT_RESTART: row(
    '{guest} cannot be started anew at {host}: {reason}',
    'Leave out `--on-lost restart`.',
    false,
    4,
    422,
  ),
  GODWIT_LOST: row('{guest} was lost: {reason}', 'Start it again from its disks.', false, 7, 410),
  GODWIT_NOT_ARMED: row(
    '{host} does not hold the right to run {guest} under epoch {epoch}: {reason}',
    'Nothing to do: the other side decides.',
    false,
    5,
    409,
  ),
  GODWIT_JOURNAL: row(
    '{host} cannot write its journal: {reason}',
    'Make room on the disk of {host}, or mend it; what waits for it goes on by itself.',
    true,
    5,
    503,
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
