"""What servers say, class by class: data for ``classify``, read from the top.

Promise: every phrase is plain words in lower case as ``classify.normal`` leaves
them and begins at the beginning of a word; ``…`` stands for a few other words,
``_`` for the end of a word (``spf_`` does not match ``spfx``). The order of the
rows is the policy: a reply that blames the sender and the reader blames the
sender. ``CLEAR`` phrases mean one thing wherever they stand and win over the
status; ``VAGUE`` ones are heard only when the status says nothing.
"""

from __future__ import annotations

from typing import Final

from newsletter.events.models import BounceClass

Row = tuple[BounceClass, tuple[tuple[str, ...], ...]]

# Refusals for what the sender is or has set up: signatures, names, encryption, form of the mail.
_BLOCK_AUTH = """
spf_|sender policy framework|dkim_|dmarc|domainkeys|unauthenticated mail|unauthenticated email
unauthenticated message|unauthenticatedemail|email authentication|authentication checks|authentication results
sender id_|arc fail|sender authentication failed|reverse dns|rdns|ptr_|reverse lookup|reverse hostname
reverse host name|reverse address|reverse ip|reverse record|cannot find your hostname|cannot find your host name
cannot find your reverse|cannot find a hostname|cannot resolve your|cant resolve your
cannot be resolved to a hostname|ip name lookup failed|ip name possibly forged|fcrdns|forward confirmed|dns mismatch
no valid hostname|does not resolve to a hostname|ip address without|unverifyable sending|unable to verify … hostname
hostname … does not match … ip_|have … dns entry|generic hostname|name … looks … dynamic|invalid dns … ip_
missing or invalid … dns|no hostname|lookup by … ip failed|must issue a starttls|starttls is required
starttls command first|starttls first|tls required|tls is required|requires tls|must use tls|tls encryption
encryption required|encrypted connection|starttls failed|tls … handshake|rfc 5322|rfc5322|rfc 5321|rfc5321|rfc 2822
rfc2822|rfc 822|rfc822 compl|rfc 2821|rfc2821|rfc compli|not rfc|non rfc|rfc 7601|bare lf_|bare linefeed
bare newline|header syntax|missing … header|duplicate … header|multiple … headers|multiple … header_
multiple … addresses in from|invalid message header|invalid header|bad header|badheader|illegal header|multiple from
no from header|invalid from header|from header is missing|message id is missing|messages missing
message … not … valid message id|non compliant|line too long|lines too long
transmission … characters … not allowed in … header|8bit … header
"""

# Lists and reputations are named before contents, since both speak of spam.
_LISTED = """
blacklist|black list|blocklist|block list|blocked list|blocked using|blocked by … list|rejected … listed
is listed by|because … is listed|spamhaus|spamcop|barracudacentral|barracuda reputation|sorbs|dnsbl|rbl_|rbls|rbldns
uribl|surbl|cloudmark|senderbase|senderscore|csi_|spfbl|invaluement|njabl|abuseat|uceprotect|realtime block
real time block|denylist|deny list|zen_|abusix|mailspike|trend micro rbl|ip … is listed|currently listed
listed in … rbl|found on one or more|reputation|banned sending|banned ip|bad ip_|dynamic ip_|dynamic address|dial up
dialup|residential ip_|dynamic … range|poor sending|excessive … complaints|high … complaint|user complaints|tss0
temporarily deferred due to user complaints
"""

_CONTENT = """
virus|malware|trojan|infected|phishing|harmful content|ransomware|mcspamsignature|mcmalware|looks like spam
look like spam|looks a lot like spam|appears to be spam|considered spam|considered as spam|considered to be spam
classified as spam|identified as spam|detected as spam|recognized as spam|recognised as spam|tagged as spam
rejected as spam|flagged as spam|marked as spam|message is spam|mail is spam|be spam_|believed to be spam
likely spam|likely unsolicited|spam message rejected|spam score|spam content|spam detected|spam mail|spam email
spammy|spam like|spam filter|spam check|spam scanner|spam signature|spam pattern|spam blocked|probable spam
suspected spam|suspicious … content|probability of spam|junk mail|classified as bulk|reject id … spam
message is likely|unsolicited mail_|message content|content reject|content restriction|content filter|content denied
content policy|content not accepted|content violat|contains … url|contains a link|banned content|prohibited content
forbidden … attachment|illegal attachment|attachment … not|attachment type|blocked attachment|executable|mime error
mime type|malformed mime|media error|message body … rejected|message filtered by|dt spm
message … rejected by … filter|filter rule|body rejected|subject rejected|line limit exceeded|message too large
message too big|message size|message is too|message was too|mail too large|mail size|too large|too big|size limit
size … exceeds|exceeds size|exceeded size|exceeds the size|maximum … size|message length exceed
message … larger than|mail … larger than|conversion required|conversion not|unsupported encoding
"""

# Too much at once is nobody's fault, even where the same reply speaks of blocking.
_RATE = """
rate limit|ratelimit|frequency limited|too many connections|too many concurrent|too many sessions|connection rate
receiving mail at a rate|receivingrate|mail at too high|throttl|too fast|too quickly|slow down|greylist|graylist
grey listed|grey listing
"""

# Domains that say they take no mail at all (RFC 7505), now or later.
_NO_MAIL = """
null mx|nullmx|rfc7505|rfc 7505|does not accept mail_|doesnt receive email|does not receive mail|accepts no mail
domain … not accept mail|host … not accept mail
"""

_PREFERENCES = """
recipient preferences|limit set by … recipient|too large for this recipient
"""

_MAILBOX_FULL = """
mailbox … full|mail box … full|mbox … full|inbox … full|mail folder … full|mailfolder … full|maildir … full
mail drop … full|folder is full|account … full_|full mailbox|mailboxfull|mailbox … over_|mailbox … exceed
mailbox limit|mailbox … limit|mailbox size|mailbox too large|over quota|overquota|over the quota|over its quota
over disk quota|over storage|out of quota|quota exceed|exceed … quota|exceeded … quota|quota … exceed|quota … full
disk quota|storage quota|mailbox quota|user quota|exceeds … quota|quota limit|quota violation|quota reached
overquotatemp|overquotaperm|exceeded … storage|storage … exceed|storage … full|out of storage|outofstorage
storage space|storage limit|storage allocation|insufficient … space|not enough … space|have enough … space
insufficient disk|no disk space|disk full|disk is full|disc full|disk space|no space left|diskspace
too many messages in|too much mail|too many mails|exceed … local limit|mailbox … capacity|is full_
too many messages on … server|delivery failed quota|boîte … pleine|boite … pleine|buzón … lleno|buzon … lleno
postfach … voll|caixa … cheia|casella … piena|speicherplatz|容量を超え|メールボックスが一杯|邮箱已满|邮箱空间不足|已满
"""

_BAD_DOMAIN = """
host unknown|unknown host|host not found|host … not found|hostnotfound|host or domain name not found|no such host
no such domain|unknown domain|domain not found|domain does not exist|domain doesnt exist|domain … not found
domain name not found|domain name does not exist|domain … not registered|domain … expired|domain unknown
no route to domain|name server … not found|bad destination system|couldnt find any host|could not find any host
couldnt find a mail exchanger|couldnt find … mail exchanger|find any mail exchanger|nxdomain|non existent domain
nonexistent domain|nonexistentdomain|name or service not known|no address associated|name does not exist
unrouteable mail domain|unroutable domain|unrouteable domain|cannot route to|address couldnt be found … domain
no mail server for|no mx_|no mail hosts|no mail exchanger|mx record … not found|no valid mx|bad … mx record
lookup … does not exist|dns lookup … failed|dns error … domain|domain couldnt be found|domain … couldnt be found
dns type mx lookup|all relevant mx records point|destination server … not found|unable to resolve
cannot resolve … domain|could not resolve … host|domain is not reachable|illegal host|invalid host
invalid domain name in address|bad domain name|domain is not valid
"""

_DISABLED = """
account … disabled|mailbox … disabled|user … disabled|recipient … disabled|address … disabled|disableduser
is disabled|been disabled|account … suspended|mailbox … suspended|user … suspended|recipient suspended
address … suspended|domain … suspended|been suspended|user suspended|account suspended|account … inactive
mailbox … inactive|user … inactive|inactive account|inactive user|inactive mailbox|inactiveuser|is inactive
account … deactivated|mailbox … deactivated|deactivated|account … locked|mailbox … locked|user … locked
temporary locked|temporarily locked|account … frozen|mailbox … frozen|account … not active|mailbox … not active
user … not active|mailbox is not active|account has been blocked|account is blocked|account … expired
mailbox … expired|account … discontinued|disabled or discontinued|has been discontinued|mailbox not activated
not been activated|mail receiving disabled|disabled due to inactivity|gesperrt|désactivé|deshabilitad|desativad
заблокирован|отключен
"""

_BAD_MAILBOX = """
user unknown|userunknown|unknown user|unknown recipient|recipient unknown|unknown mailbox|mailbox unknown
unknown address|unknown or illegal|unknown local|unknown account|unknown email|user … is unknown|user … unknown_
address unknown|address … unknown|no such user|no such recipient|no such mailbox|no such account|no such address
no such local|no such email|no such person|nosuchuser|no mailbox|no user_|no account|no recipient_|no local mailbox
not a valid user|not a valid mailbox|not a valid recipient|not a valid address|not a known user
not a known recipient|not known at|not known here|isnt a known|user not known|recipient not known
addressee not known|user … does not exist|recipient … does not exist|mailbox … does not exist
address … does not exist|account … does not exist|user … doesnt exist|recipient … doesnt exist
mailbox … doesnt exist|address … doesnt exist|account … doesnt exist|user … not exist|mailbox … not exist
recipient … not exist|not exist here|nonexistent|non existent|non existing|does not exist on|not found local mailbox
user not found|recipient not found|mailbox not found|account not found|address not found|recipnotfound
recipientnotfound|not found by smtp|user … not found|mailbox … not found|recipient … not found|address … not found
recipient couldnt be found|address couldnt be found|invalid recipient|invalid mailbox|invalid user|invalid address
invalid account|invalid local|invaliduser|badrecipient|address invalid|recipient … invalid|recipient is not valid
address … not valid|bad recipient|bad address|bad destination mailbox|bad mailbox|address is invalid|illegal user
illegal alias|illegal recipient|bad email address|recipient does not exist|destinataire invalide
doesnt have … account|does not have … account|not have an account|not our customer|not a customer|address no longer
mailbox no longer|user no longer|account no longer|recipient no longer|no longer exist|is no longer valid
no longer in use|no longer employed|no longer works|has moved|moved to another|recipient … moved
email address has changed|address … obsolete|name is not recognized|not recognized … recipient
recipient name … recogni|not listed in public|not listed in domino|not listed in directory|not in directory
not present in … directory|matches more than one|not unique|user … not listed|not a local|mailbox not available
mailbox unavailable|user … not available|mailbox … not available|unavailable mailbox|account … closed
account … deleted|user … deleted|mailbox … deleted|account … terminated|address … deleted|mailbox has been deleted
account is unavailable|account that you tried to reach does|addressee unknown|undeliverable address
unrouteable address|unroutable address|user is terminated|user has left|left the company|left the organi
account … cancelled|inactive email address|unknown to address|cant create user output|no valid recipients
recipient verif|callout verification fail|unable to find recipient|could not find recipient|empfänger unbekannt
empfänger … nicht|adresse … nicht gefunden|unbekannter|existiert nicht|destinataire inconnu|utilisateur inconnu
inconnu à cette|nexiste pas|no existe|desconocid|não existe|nao existe|inesistente|destinatario sconosciuto
sconosciut|宛先不明|用户不存在|收件人不存在|не существует|пользователь не найден|нет такого
"""

# The exchange with one server that says "access denied" for people it does not know (directory based blocking).
_DIRECTORY = """
recipient address rejected access denied
"""

_BLOCK_REPUTATION = """
relay_|relaying_|relayed|open relay|relay access|sender address rejected|sender rejected|sender … rejected
sender denied|sender … denied|sender … refused|sender blocked|sender … blocked|sender was rejected|sender verify
sender address verification|sender domain|domain of sender|senders address|senders domain|sending domain|sending ip_
sending host|sending server|sending mta|sender not|mail from … rejected|mail from … refused|mail from … denied
mail from … not allowed|mail from your|messages from your|email from your|from … domain is invalid|valid from_
invalid ip for sending|invalid sender|bad sender|unknown sender|envelope sender|your ip_|your host|your server
your network|your mail server|your smtp|your isp|your provider|your access to|your domain|client host|host rejected
client ip_|connecting ip_|connecting host|ip address … blocked|ip … blocked|ip … rejected|blocked ip_
remote host … denied|source ip_|originating ip_|refused to talk to me|isp … smtp|smtp server of your|policy|policies
administrative|administratively|unauthenticated senders|authentication required|authentication is required
must authenticate|not authenticated|requires authentication|authrequired|login first|unsolicited|bulk sender|spammer
spamming|abuse|helo_|ehlo_|my name was rejected|we do not accept|not accept mail from|dont accept mail from
not accepting mail from|not accepting messages from|dropped due to|not welcome|too much spam|spam_|daily relay
not permitted to send|not allowed to send|not authorized to send|permission to post|group you tried to contact
email address is not verified|identity … not verified|region … identities|not in … whitelist|message not allowed
dm email|access denied … ip_|access denied … banned|service refused|unauthorized … sender|security polic
will not accept delivery|client was not authenticated|not in … allowed senders|tenantattribution
traffic not accepted|null sender|mail rejected ofr|mail rejete
"""

_TRANSIENT = """
timed out|timeout|time out_|connection refused|connection reset|connection lost|lost connection
conversation … broken|connection died|connection closed|connection was closed|connection dropped|could not connect
couldnt connect|unable to connect|cant connect|failed to connect|cannot connect|no smtp connection
establish an smtp connection|network is unreachable|network unreachable|no route to host|host is down
host unreachable|host … unreachable|socket error|not accept our requests to connect|not responding
all hosts … failing|retry time not|retry timeout|queue too long|in the queue|message expired|delivery time expired
delivery expired|time expired|has expired|has been delayed|delivery … delayed|delayed_|not yet been delivered
could not be delivered for|still being retried|will be retried|keep trying|will retry|exceeded … time
maximum … time … queue|tried … for … days|could not be delivered … days|could not deliver for|delivery aborted
was aborted after|failed … attempts|try again later|try later|retry later|try again in|please try again
temporary failure|temporary problem|temporary error|temporarily|temporär|temporaire|deferred|too many errors
too many invalid|too many recipients|too many messages|too many … connections|connection frequency|frequency
per hour|per minute|overload|insufficient system|system resources|resources temporarily|local resources|system error
system failure|system not|internal error|internal server|server error|local error|maintenance|shutting down|io error
i o error|input output error|lookup failure|dns failure|dns server fail|temporary dns|loops back|too many hops
hop count|routing loop|mail loop|mail forwarding loop|configuration error|misconfigured|ldap|mailer error
command failed|command died|exit status|exited with|program failed|local delivery failed|queue file write|lmtp
unknown mailer error|load too high|bad sequence|out of sequence|syntax error|command not|command parameter not
command unrecognized|unrecognized command|protocol error|cannot open|cant open|no answer|no response|tried too many
could not find a gateway|write error|veuillez essayer plus tard|procmail|deliver to command|pipe to_
generated during the delivery attempt|mail system error
"""

_VAGUE_REPUTATION = """
blocked|block_|banned|security|suspicious|violat|prohibit|forbidden|not permitted|not allowed|not authorized
not authorised|unauthorized|permission|access denied|access not allowed|restricted|restriction|untrusted|not trusted
access from|complain|greeting|spam
"""

_VAGUE_MAILBOX = """
does not exist|doesnt exist|not found|rejected recipient|address rejected|unknown_|not deliverable
no longer available|inconnu|unbekannt
"""

_VAGUE_FULL = """
quota|exceeded … limit
"""

_VAGUE_DISABLED = """
suspended|disabled|inactive|discontinued|locked
"""

_VAGUE_TRANSIENT = """
expired|later|busy|unavailable|not available|temporary|resources|loop|unreachable|delayed|aborted|invalid syntax
attempts|service not
"""


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    """Split a block into phrases and each phrase into the pieces that must follow each other."""
    return tuple(
        tuple(_from_word_start(piece) for piece in phrase.split(" … "))
        for line in text.strip("\n").split("\n")
        for phrase in line.split("|")
    )


def _from_word_start(piece: str) -> str:
    # Scripts that put no blanks between words are matched anywhere.
    return (f" {piece}" if piece[0] < "\u2e80" else piece).replace("_", " ")


NO_MAIL: Final[Row] = (BounceClass.BAD_DOMAIN, _phrases(_NO_MAIL))
CLEAR: Final[tuple[Row, ...]] = (
    (BounceClass.BLOCK_AUTH, _phrases(_BLOCK_AUTH)),
    (BounceClass.TRANSIENT, _phrases(_RATE)),
    (BounceClass.BLOCK_REPUTATION, _phrases(_LISTED)),
    (BounceClass.REFUSED, _phrases(_PREFERENCES)),
    (BounceClass.CONTENT, _phrases(_CONTENT)),
    (BounceClass.BLOCK_REPUTATION, _phrases(_BLOCK_REPUTATION)),
    (BounceClass.MAILBOX_FULL, _phrases(_MAILBOX_FULL)),
    NO_MAIL,
    (BounceClass.BAD_DOMAIN, _phrases(_BAD_DOMAIN)),
    (BounceClass.BAD_MAILBOX, _phrases(_DIRECTORY)),
    (BounceClass.DISABLED, _phrases(_DISABLED)),
    (BounceClass.BAD_MAILBOX, _phrases(_BAD_MAILBOX)),
    (BounceClass.TRANSIENT, _phrases(_TRANSIENT)),
)
VAGUE: Final[tuple[Row, ...]] = (
    (BounceClass.MAILBOX_FULL, _phrases(_VAGUE_FULL)),
    (BounceClass.DISABLED, _phrases(_VAGUE_DISABLED)),
    (BounceClass.BLOCK_REPUTATION, _phrases(_VAGUE_REPUTATION)),
    (BounceClass.BAD_MAILBOX, _phrases(_VAGUE_MAILBOX)),
    (BounceClass.TRANSIENT, _phrases(_VAGUE_TRANSIENT)),
)
