"""An acceptor of NTLM or Kerberos that knows nothing of Godwit: Debian's gss-ntlmssp, or MIT's library. Messages come and go in
base64, a line each; `ok NAME [LAST-MESSAGE]` or `error WORDS` is the last. The arguments are the mechanism and the hash of the
server's certificate, in hex, where it looks at channel bindings."""
import base64
import sys

import gssapi
from gssapi.raw import ChannelBindings

MECHANISMS = {'ntlm': '1.3.6.1.4.1.311.2.2.10', 'kerberos': '1.2.840.113554.1.2.2'}
mechanism = gssapi.raw.OID.from_int_seq(MECHANISMS[sys.argv[1]])
bindings = None
if len(sys.argv) > 2:
    bindings = ChannelBindings(application_data=b'tls-server-end-point:' + bytes.fromhex(sys.argv[2]))
credentials = gssapi.Credentials(usage='accept', mechs=[mechanism])
context = gssapi.SecurityContext(creds=credentials, usage='accept', channel_bindings=bindings)
for line in sys.stdin:
    try:
        message = base64.b64encode(context.step(base64.b64decode(line)) or b'').decode()
        # Some refusals are raised only when the context is asked.
        complete = context.complete
    except Exception as error:
        print('error', ' '.join(str(error).split()), flush=True)
        break
    if complete:
        print('ok', context.initiator_name, message, flush=True)
        break
    print(message, flush=True)
