import { godwitError, type GodwitError } from '../../../../errors.ts';
import type { LoginFailure } from './messages.ts';

/** PURE. Kerberos login failures as Godwit's errors, with fixes. */

export interface LoginPlace {
  /** `user@REALM` */
  readonly user: string;
  /** `HTTP/host` */
  readonly service: string;
  /** host:port of its WinRM */
  readonly address: string;
}

interface Meaning {
  readonly reason: string;
  readonly hint: string;
}
/** Numbers of RFC 4120 and MIT's krb5_err. */
type ErrorMeanings = Readonly<Record<number, (place: LoginPlace) => Meaning>>;

const CLOCK =
  'Have this host, the Hyper-V host and the domain controller take their time from one source: Kerberos refuses more than 5 minutes.';

function passwordIsWrong({ user }: LoginPlace): Meaning {
  return {
    reason: `the password is not that of ${user}`,
    hint: 'Put the right password into the password file.',
  };
}

function ticketIsOver(): Meaning {
  return { reason: 'the ticket has expired there', hint: CLOCK };
}

const KNOWN: ErrorMeanings = {
  6: ({ user }) => ({
    reason: `the realm does not know ${user}`,
    hint: 'Write the user as `name@DOMAIN.EXAMPLE`, with the DNS name of its Active Directory domain and not the short one.',
  }),
  7: ({ service }) => ({
    reason: `the realm does not know the service ${service}`,
    hint: `Name the host in the URL as its domain does. \`setspn -L HOST\` lists its names; \`setspn -S ${service} HOST\` adds this one.`,
  }),
  18: ({ user }) => ({
    reason: `the account ${user} is locked or disabled`,
    hint: 'Unlock or enable it in its domain.',
  }),
  23: ({ user }) => ({
    reason: `the password of ${user} has expired`,
    hint: 'Set a new one in its domain, and put it into the password file.',
  }),
  24: passwordIsWrong,
  31: passwordIsWrong,
  32: ticketIsOver,
  33: ticketIsOver,
  37: () => ({ reason: 'the clocks are more than 5 minutes apart', hint: CLOCK }),
};

/** No KDC answered: none there, none known, or its name not found. */
const SILENT = new Set([154, 156, 220]);

/** GODWIT_UNREACHABLE if the realm is silent, otherwise GODWIT_MANAGER_DENIED. */
export function loginError(failure: LoginFailure, place: LoginPlace): GodwitError {
  const { stage, number, words } = failure;
  const realm = place.user.slice(place.user.indexOf('@') + 1);
  if (SILENT.has(number)) {
    return godwitError(
      'GODWIT_UNREACHABLE',
      { peer: 'the KDC', address: realm, reason: words },
      {
        hint: `Check that port 88 of a domain controller is open to this host, and that DNS has _kerberos._tcp.${realm.toLowerCase()}, or name the KDC in /etc/krb5.conf.`,
      },
    );
  }
  const { reason, hint } = meaningOf(failure, place);
  return godwitError(
    'GODWIT_MANAGER_DENIED',
    {
      manager: 'WinRM',
      address: place.address,
      what: `${place.user} to log on by Kerberos`,
      reason: stage === 'library' || words === '' ? reason : `${reason} (“${words}”)`,
    },
    { hint },
  );
}

function meaningOf({ stage, number, words }: LoginFailure, place: LoginPlace): Meaning {
  const known = KNOWN[number]?.(place);
  // A server that cannot read its ticket has another key than the realm; the password is not the reason.
  if (known !== undefined && !(stage === 'context' && number === 31)) return known;
  switch (stage) {
    case 'library':
      return {
        reason: `the Kerberos library of this host cannot be loaded: ${words}`,
        hint: 'Install it: `apt-get install libgssapi-krb5-2` (Debian, Ubuntu), `dnf install krb5-libs` (Fedora, RHEL).',
      };
    case 'context':
      return {
        reason: 'it does not take the ticket, or has not shown that it can read it',
        hint: `Check that ${place.service} is a name of that host's own account (\`setspn -Q ${place.service}\`), that its clock is right, that ${place.user} may use WinRM, and that nothing between here and there ends TLS.`,
      };
    default:
      return {
        reason: 'the realm gives no ticket',
        hint: 'The words in brackets are those of the Kerberos library; the log of the domain controller says more.',
      };
  }
}
