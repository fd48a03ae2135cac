import { hasCode } from '../../errors.ts';

export function isSilence(thrown: unknown): boolean {
  return hasCode(
    thrown,
    ...(['GODWIT_UNREACHABLE', 'GODWIT_DEADLINE', 'GODWIT_OVERLOADED', 'GODWIT_INTERNAL'] as const),
    ...(['GODWIT_PEER_UNTRUSTED', 'GODWIT_CERT_EXPIRED', 'GODWIT_CERT_REVOKED'] as const),
    ...(['GODWIT_NOT_A_MEMBER', 'GODWIT_LIST_EXPIRED', 'GODWIT_LIST_DAMAGED'] as const),
    ...(['GODWIT_ROLE_FORBIDDEN', 'GODWIT_PROTOCOL_INVALID', 'GODWIT_PROTOCOL_VERSION'] as const),
    'GODWIT_ERROR_NEWER',
  );
}
