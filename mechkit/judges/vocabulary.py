"""Names of libraries' functions and attributes, by what they do to a value: bring it in, keep it, or make it safe."""

import re
from functools import lru_cache

from mechkit.judges.values import EVERYWHERE


def words(text: str) -> frozenset[str]:
    """The words of a text, as a set."""
    return frozenset(text.split())


REQUEST = re.compile(r"(?:^|\.)(?:request|req|flask\.request|bottle\.request|Request)$")
REQUEST_PARTS = words(
    """
    args form json values files headers cookies data query_string GET POST FILES META COOKIES body get_json get_data
    params query query_params path_params match_info forms url path full_path base_url host referrer user_agent
    get_argument stream path_info text content post read view_args get_header get_param get_media media bounded_stream
    content_type mimetype rel_url raw_body remote_route authorization multipart GET_params getvalue
    """
)
TORNADO_PARTS = words(
    "get_argument get_arguments get_body_argument get_body_arguments get_query_argument get_query_arguments"
)
"""How Tornado's handlers read a request."""
ASKING = words(
    """
    streamlit.text_input streamlit.text_area streamlit.file_uploader streamlit.chat_input streamlit.query_params.get
    websocket.receive receive_text
    """
)
"""Other calls that return what a remote user wrote."""
NUMBERS = words(
    """
    int float bool len abs round sum ord hash id complex uuid.uuid4 uuid.UUID UUID range decimal.Decimal
    ipaddress.ip_address ipaddress.ip_network ipaddress.ip_interface ipaddress.IPv4Address ipaddress.IPv6Address
    datetime.date.fromisoformat datetime.datetime.fromisoformat datetime.datetime.strptime bson.ObjectId ObjectId
    bson.objectid.ObjectId isinstance hasattr callable any all
    """
)
"""Calls whose result can do no harm wherever it is written."""

RESPONSES = words(
    """
    jsonify flask.jsonify render_template flask.render_template url_for flask.url_for render django.shortcuts.render
    JsonResponse django.http.JsonResponse json.dumps dumps
    """
)
"""Calls that make a safe response or address out of data."""

_HTML = words(
    """
    html.escape escape flask.escape markupsafe.escape cgi.escape bleach.clean clean conditional_escape strip_tags
    sanitize sanitize_html nh3.clean Markup.escape format_html xml.sax.saxutils.escape sanitize_input escape_html
    linkify html.escape_html escape_silent quoteattr xml.sax.saxutils.quoteattr dumps_html tornado.escape.xhtml_escape
    xhtml_escape escapejs json_script
    """
)
_ADDRESS = words("urllib.parse.quote quote quote_plus urllib.parse.quote_plus urlencode urllib.parse.urlencode")
_PATH = words("secure_filename werkzeug.utils.secure_filename os.path.basename basename safe_join get_valid_filename")
_SQL = words(
    "escape_string mogrify adapt escape_literal escape_identifier quote_identifier sql.SQL sql.Identifier psycopg2.sql.SQL quote_ident"
)
_DIGEST = words("generate_password_hash hashlib.sha256 hexdigest bcrypt.hashpw isoformat strftime")

ESCAPES: dict[str, frozenset[str]] = {
    **dict.fromkeys(_HTML, frozenset({"html", "template"})),
    **dict.fromkeys(_ADDRESS, frozenset({"html", "url", "path", "template", "line"})),
    **dict.fromkeys(_PATH, frozenset({"path", "line"})),
    **dict.fromkeys(_SQL, frozenset({"sql"})),
    **dict.fromkeys(_DIGEST, EVERYWHERE),
    **dict.fromkeys(words("shlex.quote pipes.quote shlex.join"), frozenset({"shell"})),
    **dict.fromkeys(
        words("escape_filter_chars escape_rdn escape_dn_chars escape_bytes filter_format"), frozenset({"ldap"})
    ),
    **dict.fromkeys(words("splitlines repr ascii Header make_header unidecode"), frozenset({"line"})),
    **dict.fromkeys(words("re.escape escape_regex"), frozenset({"pattern"})),
}
"""Calls that escape or clean a value, to the places for which they make it safe."""

KEEPING = words(
    """
    str repr bytes dict list tuple set sorted reversed next iter cast enumerate zip filter
    getall getone partition rpartition removeprefix removesuffix strip lstrip rstrip lower upper title split splitlines rsplit encode decode replace format
    get getlist getfirst pop items values keys copy read getvalue to_dict
    loads load_json json.loads json get_json get_data io.BytesIO BytesIO io.StringIO StringIO
    os.path.join os.path.dirname os.path.abspath os.path.normpath os.path.expanduser os.path.realpath pathlib.Path Path joinpath resolve
    absolute urljoin urllib.parse.urljoin urlparse urllib.parse.urlparse urlsplit urllib.parse.urlsplit geturl unquote urllib.parse.unquote
    b64decode base64.b64decode shlex.split sqlalchemy.text text join
    """
)
"""Calls whose result is as dangerous as what they were given."""

FIRST_DROPPED = words("get getlist getfirst pop replace split rsplit strip lstrip rstrip encode decode read")
"""Methods whose first argument (a key, a separator, what is searched for) does not end up in the result."""

GROWING = words("append add extend insert update appendleft write")
"""Methods that put their last argument into the object."""

FOREIGN_NAMES = words("get_filename nlst mlsd")
"""Methods that give names of files that somebody else chose: of a mail's attachments, on another host."""

JOIN = "os.path.join"
"""The maker of paths put together from parts, whichever way that was written."""

MEMBERS = words("namelist infolist getmembers getnames")
"""Methods that list an archive's members, whose names whoever made the archive chose."""

SECRET_NAME = re.compile(
    r"passw(?:or)?d|passwd|(?:^|_)pwd|passphrase|secret|api_?key|(?:access|private|secret|encryption|signing)_?key|"
    r"(?:^|_)token(?:$|_)|auth_?token|credential",
    re.IGNORECASE,
)
NOT_SECRET_NAME = re.compile(
    r"url|uri|path|file|field|label|prompt|message|error|length|len$|_name|regex|pattern|header|expir|"
    r"algorithm|table|column|reset|query|hint|page|route|template|type|form|count|env|max|min|valid",
    re.IGNORECASE,
)


@lru_cache(maxsize=8192)
def is_secret_name(name: str) -> bool:
    """Whether a variable, attribute or key of this name holds a password, key or token in the clear."""
    return bool(SECRET_NAME.search(name)) and not NOT_SECRET_NAME.search(name) and "hash" not in name.lower()


PREDICTABLE = re.compile(
    r"^(?:random|numpy\.random|np\.random)\.(?:random|randint|randrange|choice|choices|sample|getrandbits|randbytes|"
    r"uniform|shuffle|rand|integers|permutation|bytes|triangular|gauss)$|^uuid\.(?:uuid[135]|getnode)$"
)
GENERATOR = re.compile(r"^(?:random\.Random|(?:numpy|np)\.random\.(?:default_rng|RandomState|Generator))$")
STRONG_DRAWS = re.compile(
    r"^(?:secrets\.\w+|os\.urandom|uuid\.uuid4|random\.SystemRandom\(\)\.\w+|(?:\w+\.)*get_random_(?:bytes|string))$"
)
CLOCKS = words(
    """
    time.time time.time_ns time.monotonic time.perf_counter datetime.now datetime.utcnow datetime.datetime.now
    datetime.datetime.utcnow os.getpid
    """
)
HASHING = re.compile(r"^hashlib\.\w+(?:\(\))?$")
CONVERTING = words(
    """
    str repr bytes bytearray chr hex oct bin int float abs round sum map list tuple dict set zip hexdigest digest
    to_bytes tobytes b64encode urlsafe_b64encode b32encode standard_b64encode hexlify base36 encode decode tolist timestamp strftime isoformat ctime
    json.dumps dumps pformat zfill rjust ljust reversed sorted
    """
)
"""Calls after which a value is still as secret, or as easy to guess, as before."""

ROUTES = words(
    """
    route get post put delete patch api_route websocket view_config api_view require_http_methods require_POST
    require_GET csrf_exempt login_required on_message action before_request errorhandler exception_handler expose
    require_safe permission_required staff_member_required jwt_required
    """
)
"""Decorators of functions that a remote user's request calls."""

MESSAGE_HANDLER = re.compile(
    r"^(?:on_(?:message|get|post|put|delete|patch|receive)|handle_(?:message|request)|lambda_handler|do_[A-Z]+)$"
)
"""Names of functions that libraries for chat, brokers, functions in the cloud and plain HTTP call with what arrives."""

OUTSIDE_NAME = re.compile(
    r"(?:^|_)(?:webhook|hook|callback|link|href|feed|file_?name|fname|upload|uploaded|attachment|message|msg|event|"
    r"payload|body|query|params|form|job|submission|profile|user_?(?:input|url|path|file))$|"
    r"(?:webhook|hook|callback|image|avatar|picture|photo|icon|remote|source|target|feed|user|page)_(?:url|uri)$",
    re.IGNORECASE,
)
"""Parameters that hold what others wrote."""

HANDLER_NAMES = words(
    "get post put delete patch head do_GET do_POST do_PUT dispatch get_object form_valid perform_create"
)
HANDLER_BASES = re.compile(r"(?:View|Resource|Handler|ViewSet|APIView|Endpoint|Controller)$")
NUMERIC_TYPE = re.compile(
    r"^(?:int|float|bool|(?:typing\.)?Literal\[.*|UUID|uuid\.UUID|date|datetime|Session|AsyncSession|BackgroundTasks|Response)$"
)
"""Annotations of handler parameters that cannot carry text of the user's."""
