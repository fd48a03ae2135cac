import { godwitError, type GodwitError } from '../../../errors.ts';

/** PURE. Reasons and fixes for a WinRM that Godwit does not use. `address`: its host:port. */

const OFFERED = 200;

const UNKNOWN_CERTIFICATE =
  'Compare the certificate of its WinRM listener on the host itself; then put its SHA-256 into `fingerprint`, or its CA into `ca`.';
const CERTIFICATE_HINTS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED:
    'Renew the certificate of its WinRM listener; until then, compare it on the host itself and put its SHA-256 into `fingerprint`.',
  CERT_NOT_YET_VALID: 'Compare the clocks of this host and of that one: both should use NTP.',
};

/** Distinguishes a wrong certificate from a host that does not answer. */
export function untrusted(address: string, error: Error & { readonly code?: string }): Error {
  const isCertificate =
    /certificate/i.test(error.message) ||
    /^(CERT|ERR_TLS_CERT|DEPTH|UNABLE)_/.test(error.code ?? '');
  if (!isCertificate) return error;
  return godwitError(
    'GODWIT_PEER_UNTRUSTED',
    { peer: address, reason: error.message },
    {
      cause: error,
      hint: CERTIFICATE_HINTS[error.code ?? ''] ?? UNKNOWN_CERTIFICATE,
    },
  );
}

export function denied(address: string, user: string): GodwitError {
  return godwitError('GODWIT_MANAGER_DENIED', {
    manager: 'WinRM',
    address,
    what: `${user} to log on`,
    reason: 'the name or the password is wrong, or this account may not use WinRM',
  });
}

/** The server has rejected NTLM and offers the rest of Negotiate. */
export function noNtlm(address: string, user: string, offered: string): GodwitError {
  return godwitError(
    'GODWIT_MANAGER_DENIED',
    {
      manager: 'WinRM',
      address,
      what: `${user} to log on`,
      reason: `it takes no NTLM (it offers ${offered.slice(0, OFFERED)})`,
    },
    {
      hint: 'Set `auth` to `kerberos` with a user of its domain (`name@DOMAIN.EXAMPLE`), or allow NTLM at that host (the policies “Restrict NTLM”).',
    },
  );
}

export function noKerberos(
  address: string,
  user: string,
  status: number,
  offered: string,
): GodwitError {
  return godwitError(
    'GODWIT_MANAGER_DENIED',
    {
      manager: 'WinRM',
      address,
      what: `${user} to log on by Kerberos`,
      reason: `it does not offer it (HTTP ${status}, ${offered.slice(0, OFFERED) || 'nothing offered'})`,
    },
    {
      hint: 'Allow Kerberos at that host (`winrm set winrm/config/service/auth @{Kerberos="true"}`), or set `auth` to `ntlm`.',
    },
  );
}

export function unreachable(address: string, reason: string, cause?: unknown): GodwitError {
  return godwitError(
    'GODWIT_UNREACHABLE',
    { peer: 'WinRM', address, reason },
    {
      cause,
      hint: 'Check on the host: `winrm enumerate winrm/config/listener` shows an HTTPS listener, port 5986 is open, and the user is in Hyper-V Administrators and Remote Management Users.',
    },
  );
}
