import { signal } from '@preact/signals';
import type { Session, SignInMethods } from '../../../src/protocol/controller/session.ts';
import { ask, asProblem, request, type Problem } from './http.ts';

export type SessionState =
  | { readonly state: 'asking' }
  | { readonly state: 'in'; readonly session: Session }
  | { readonly state: 'out'; readonly methods: SignInMethods; readonly ended?: boolean }
  | { readonly state: 'unknown'; readonly problem: Problem };

/** Who is at this page. */
export const signed = signal<SessionState>({ state: 'asking' });

const BY_TOKEN: SignInMethods = { token: true };

export async function findSession(): Promise<void> {
  try {
    signed.value = { state: 'in', session: await ask<Session>('/v1/session') };
  } catch (thrown) {
    const problem = asProblem(thrown);
    signed.value =
      problem.status === 401
        ? { state: 'out', methods: methodsOf(problem) }
        : { state: 'unknown', problem };
  }
}

function methodsOf({ extra }: Problem): SignInMethods {
  const { methods } = extra as { methods?: Partial<SignInMethods> };
  return typeof methods?.oidc?.name === 'string' ? { token: true, oidc: methods.oidc } : BY_TOKEN;
}

/** Throws Problem of a token that is refused. */
export async function signIn(token: string): Promise<void> {
  const session = await ask<Session>('/v1/session', { method: 'POST', body: { token } });
  signed.value = { state: 'in', session };
}

export async function signOut(): Promise<void> {
  await request('/v1/session', { method: 'DELETE' });
  await findSession();
}

/** A request was refused since nobody is signed in any more. */
export function sessionEnded(): void {
  const now = signed.value;
  if (now.state === 'in')
    signed.value = { state: 'out', methods: now.session.methods, ended: true };
}

/** Whoever may only read is not offered what changes something. */
export function mayOperate(): boolean {
  const now = signed.value;
  return now.state === 'in' && now.session.role !== 'viewer';
}

export function isAdmin(): boolean {
  const now = signed.value;
  return now.state === 'in' && now.session.role === 'admin';
}
