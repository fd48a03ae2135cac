"""An acceptor of NTLM that knows nothing of Godwit: Debian's gss-ntlmssp. Messages come and go in base64, a line each; `ok NAME`
or `error WORDS` is the last. The argument is the hash of the server's certificate, in hex, where it looks at channel bindings."""
import base64
import sys

import gssapi
from gssapi.raw import ChannelBindings

NTLMSSP = gssapi.raw.OID.from_int_seq('1.3.6.1.4.1.311.2.2.10')
bindings = None
if len(sys.argv) > 1:
    bindings = ChannelBindings(application_data=b'tls-server-end-point:' + bytes.fromhex(sys.argv[1]))
credentials = gssapi.Credentials(usage='accept', mechs=[NTLMSSP])
context = gssapi.SecurityContext(creds=credentials, usage='accept', channel_bindings=bindings)
for line in sys.stdin:
    try:
        answer = context.step(base64.b64decode(line))
    except Exception as error:
        print('error', ' '.join(str(error).split()), flush=True)
        break
    if context.complete:
        print('ok', context.initiator_name, flush=True)
        break
    print(base64.b64encode(answer or b'').decode(), flush=True)
