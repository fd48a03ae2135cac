import { godwitError } from '../../errors.ts';
import { answerOf } from '../../hooks/runner.ts';
import type { SiteAnswer } from '../../hooks/site-program.ts';
import { formatDuration } from '../../protocol/quantity.ts';
import type { AgentConfig } from '../../config.ts';
import type { Clock } from '../../clock.ts';
import type { HookFacts } from '../../hooks/hooks.ts';
import { untilMoment } from '../engine/time-limit.ts';

export interface NoticeRequest {
  readonly config: Pick<AgentConfig, 'name' | 'stateDir' | 'hooks'>;
  readonly clock: Clock;
  readonly guest: string;
  readonly facts: () => HookFacts;
}

/** Exit code of the hook if the guest must not move now. */
const NO_EXIT = 10;
const READY = 'ready';

/**
 * Notifies the guest's owner of the move, and waits until `untilMs` (wall clock) or for the answer that it is ready.
 * Returns the answer as text. GODWIT_NOTICE_REFUSED for a no, if the site permits it; GODWIT_CAPABILITY without a
 * hook.
 */
export async function giveNotice(
  { config, clock, guest, facts: factsOf }: NoticeRequest,
  untilMs: number,
  signal: AbortSignal,
): Promise<string> {
  const noticeMs = untilMs - clock.wallMs();
  const facts = () => ({ ...factsOf(), noticeMs });
  const answer = await answerOf(config, 'notice', facts, { signal, deadlineMs: noticeMs });
  if (answer === undefined) {
    const reason = `${config.name} has no hook \`notice\`: nobody would hear of it`;
    const hint = 'Install it in `hooks.directory` there (docs/hooks.md), or ask without a notice.';
    throw godwitError('GODWIT_CAPABILITY', { what: 'a notice', reason }, { hint });
  }
  if (isReady(answer)) return 'it was notified ahead, and is ready';
  const isNo = !answer.ok && answer.code === NO_EXIT;
  const mayRefuse = config.hooks?.noticeMayRefuse === true;
  if (isNo && mayRefuse) {
    const reason = answer.words === '' ? 'without a reason' : answer.words;
    throw godwitError('GODWIT_NOTICE_REFUSED', { guest, reason });
  }
  await untilMoment(untilMs, clock, signal);
  const reported = `it was notified ${formatDuration(noticeMs)} ahead`;
  if (isNo) return `${reported}, and its no does not count here (hooks.noticeMayRefuse)`;
  if (!answer.ok && answer.late !== true) return `${reported}; the hook ${answer.why}`;
  return `${reported}, and did not say that it is ready`;
}

const isReady = (answer: SiteAnswer): boolean => answer.ok && answer.words.trim() === READY;
