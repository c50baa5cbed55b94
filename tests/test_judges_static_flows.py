"""The static judge on values that pass through several lines: what they are worth, and where they come from."""

import pytest

from mechkit.judges import StaticJudge
from mechkit.judges.scale import RULES

FLASK = "from flask import Flask, request, make_response\nimport os\napp = Flask(__name__)\n"
HANDLER = FLASK + "@app.route('/x', methods=['POST'])\ndef handle():\n    x = request.form['x']\n"
UPLOAD = FLASK + "@app.post('/u')\ndef put():\n    f = request.files['f']\n"
ORIGIN = FLASK + "@app.after_request\ndef add(reply):\n    origin = request.headers.get('Origin', '')\n"
SHOP = "import hmac, hashlib\ndef accept(body, given, key):\n"

PAIRS: list[tuple[str, str, str]] = [
    # drawn from a generator that can be guessed
    (
        "predictable_secret",
        "import random\ndef otp():\n    digits = random.choices('0123456789', k=6)\n    otp = ''.join(digits)\n"
        "    return otp",
        "import secrets\ndef otp():\n    digits = [secrets.choice('0123456789') for _ in range(6)]\n"
        "    otp = ''.join(digits)\n    return otp",
    ),
    (
        "predictable_secret",
        "import hashlib, time\nreset_token = hashlib.sha256(str(time.time()).encode()).hexdigest()",
        "import jwt, time\nreset_token = jwt.encode({'exp': time.time() + 60}, key)",
    ),
    (
        "predictable_secret",
        "import uuid\nclass A:\n    def new(self):\n        self.api_key = uuid.uuid1().hex",
        "import uuid\nclass A:\n    def new(self):\n        self.api_key = uuid.uuid4().hex",
    ),
    (
        "predictable_secret",
        "import random\nrng = random.Random(7)\nvouchers = [f'{rng.getrandbits(40):x}' for _ in range(9)]",
        "import random\nrng = random.SystemRandom()\nvouchers = [f'{rng.getrandbits(40):x}' for _ in range(9)]",
    ),
    (
        "predictable_secret",
        "import random\ndef add(db, who):\n    db.insert(who=who, invite_code=random.randint(1, 10**9))",
        "import random\ndef add(db, who):\n    db.insert(who=who, country_code=random.choice(['a', 'b']))",
    ),
    # addresses
    (
        "server_side_request",
        "import requests\ndef notify(webhook_url, text):\n    requests.post(webhook_url, json={'t': text})",
        "import requests\ndef notify(base_url, text):\n    requests.post(base_url + '/hook', json={'t': text})",
    ),
    (
        "server_side_request",
        "import requests\ndef pull(message):\n    host = message['host']\n"
        "    return requests.get(f'https://{host}/feed').text",
        "import requests\ndef pull(message):\n    item = message['item']\n"
        "    return requests.get(f'https://a.example/{item}').text",
    ),
    (
        "server_side_request",
        HANDLER + "    if not x.startswith('http'):\n        x = 'http://' + x\n    return requests.get(x).json()",
        HANDLER + "    if not x.startswith('https://a.example/'):\n        raise ValueError\n"
        "    return requests.get(x).json()",
    ),
    (
        "server_side_request",
        HANDLER + "    if urlparse(x).scheme not in ('http', 'https'):\n        raise ValueError\n"
        "    return requests.get(x).json()",
        HANDLER
        + "    if urlparse(x).hostname not in HOSTS:\n        raise ValueError\n    return requests.get(x).json()",
    ),
    (
        "loose_host_pattern",
        "def ok(origin):\n    return origin.endswith('shop.example')",
        "def ok(origin):\n    return origin.endswith('.shop.example')",
    ),
    (
        "loose_host_pattern",
        "def ok(url):\n    return url.startswith('https://shop.example')",
        "def ok(url):\n    return url.startswith('https://shop.example/')",
    ),
    # paths
    (
        "path_traversal",
        "ROOT = '/srv/docs'\ndef show(file_name):\n    return open(ROOT + '/' + file_name).read()",
        "import os\nROOT = '/srv/docs'\ndef show(file_name):\n    return open(os.path.join(ROOT, os.path.basename(file_name)))",
    ),
    (
        "path_traversal",
        "from pathlib import Path\nROOT = Path('/srv')\ndef show(page):\n    return (ROOT / page).read_text()",
        "from pathlib import Path\ndef show(path):\n    return path.read_text()",
    ),
    (
        "path_traversal",
        "import os, zipfile\ndef unpack(z):\n    for n in zipfile.ZipFile(z).namelist():\n"
        "        open(os.path.join('out', n), 'wb')",
        "import os, zipfile\ndef unpack(z):\n    for n in zipfile.ZipFile(z).namelist():\n"
        "        open(os.path.join('out', os.path.basename(n)), 'wb')",
    ),
    (
        "path_traversal",
        "from http.server import BaseHTTPRequestHandler\nclass A(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
        "        f = open('/srv' + self.path)",
        "from http.server import BaseHTTPRequestHandler\nclass A(BaseHTTPRequestHandler):\n    def do_GET(self):\n"
        "        if self.path in PAGES:\n            f = open('/srv/index')",
    ),
    (
        "path_traversal",
        UPLOAD + "    if f.content_type not in TYPES:\n        return 'no'\n    f.save(os.path.join('up', f.filename))",
        UPLOAD + "    if f.content_type not in TYPES:\n        return 'no'\n"
        "    f.save(os.path.join('up', uuid.uuid4().hex + os.path.splitext(f.filename)[1]))",
    ),
    (
        "path_traversal",
        UPLOAD
        + "    name = f.filename\n    if name.rsplit('.', 1)[1] in EXT:\n        f.save(os.path.join('up', name))",
        UPLOAD + "    name = uuid.uuid4().hex + Path(f.filename).suffix\n    f.save(os.path.join('up', name))",
    ),
    (
        "temporary_file_race",
        "def dump(rows):\n    with open('/tmp/rows.csv', 'w') as f:\n        f.write(rows)",
        "import tempfile\ndef dump(rows):\n    with tempfile.NamedTemporaryFile('w', dir='/tmp') as f:\n        f.write(rows)",
    ),
    (
        "temporary_file_race",
        "import os, tempfile\np = os.path.join(tempfile.gettempdir(), 'job.lock')\nopen(p, 'w')",
        "import os\nos.open('/tmp/job.lock', os.O_CREAT | os.O_EXCL | os.O_WRONLY)",
    ),
    (
        "temporary_file_race",
        "import os\nfrom pathlib import Path\nPath(f'/tmp/report-{os.getpid()}').write_text('a')",
        "from pathlib import Path\nPath('/srv/report').write_text('a')",
    ),
    # hashes
    (
        "weak_hash",
        "import hmac, hashlib\ndef sign(key, body):\n    return hmac.new(key, body, hashlib.md5).hexdigest()",
        "import hmac, hashlib\ndef sign(key, body):\n    return hmac.new(key, body, hashlib.sha256).hexdigest()",
    ),
    (
        "weak_hash",
        "import hashlib\ndef store(password):\n    return hashlib.pbkdf2_hmac('sha256', password, b'salt', 100)",
        "import hashlib\ndef store(password):\n    return hashlib.pbkdf2_hmac('sha256', password, b'salt', 600_000)",
    ),
    (
        "weak_hash",
        "import hashlib\ndef store(password):\n    h = hashlib.sha256()\n    h.update(password.encode())",
        "import hashlib\ndef check(data):\n    h = hashlib.sha256()\n    h.update(data)",
    ),
    (
        "weak_hash",
        "from passlib.hash import md5_crypt\nmd5_crypt.hash(x)",
        "from passlib.hash import argon2\nargon2.hash(x)",
    ),
    # comparisons
    (
        "timing_comparison",
        SHOP + "    mac = hmac.new(key, body, hashlib.sha256).hexdigest()\n    return mac == given",
        SHOP + "    mac = hmac.new(key, body, hashlib.sha256).hexdigest()\n    return hmac.compare_digest(mac, given)",
    ),
    (
        "timing_comparison",
        "import os\ndef ok(request):\n    return request.headers['X-Key'] == os.environ['API_KEY']",
        "import os\ndef ok(request):\n    return request.headers['X-Mode'] == os.environ['MODE']",
    ),
    (
        "timing_comparison",
        "def ok(user, token):\n    if user.token != token:\n        raise ValueError",
        "def ok(password, confirm_password):\n    if password != confirm_password or password == '':\n        raise ValueError",
    ),
    # logs
    (
        "secret_in_log",
        "import logging, os\nheaders = {'Authorization': os.environ['API_TOKEN']}\nlogging.debug('with %s', headers)",
        "import logging, os\nheaders = {'Authorization': os.environ['API_TOKEN']}\nlogging.debug('%d', len(headers))",
    ),
    (
        "secret_in_log",
        "import logging, secrets\nt = secrets.token_hex()\nlink = f'https://a.example/?t={t}'\nlogging.info(link)",
        "import logging, secrets\nt = secrets.token_hex()\nlink = f'https://a.example/?t={t}'\nlogging.info(len(link))",
    ),
    (
        "secret_in_log",
        "import logging\ndef pay(card):\n    logging.info('card %s', card['card_number'])",
        "import logging\ndef pay(card):\n    logging.info('card %s', card['card_number'][-4:])",
    ),
    (
        "secret_in_log",
        HANDLER + "    app.logger.info('form: %s', request.form)\n    return ''",
        HANDLER + "    app.logger.info('path: %s', request.path)\n    return ''",
    ),
    (
        "secret_in_log",
        "import logging\ndef login(user, password):\n    logging.info('password %s', password)",
        "import logging\ndef login(user, password):\n    ok = check(user, password)\n    logging.info('ok %s', ok)",
    ),
    # connections
    (
        "plaintext_protocol",
        "import smtplib\ndef f(user, password):\n    s = smtplib.SMTP('a')\n    s.login(user, password)",
        "import smtplib\ndef f(user, password):\n    s = smtplib.SMTP('a')\n    s.starttls()\n    s.login(user, password)",
    ),
    (
        "plaintext_protocol",
        "import imaplib\ndef f(user, password):\n    b = imaplib.IMAP4('a')\n    b.login(user, password)",
        "import imaplib\ndef f(user, password):\n    b = imaplib.IMAP4_SSL('a')\n    b.login(user, password)",
    ),
    (
        "plaintext_protocol",
        "import requests\ndef f(user, password):\n    requests.get('http://a.example/me', auth=(user, password))",
        "import requests\ndef f(user, password):\n    requests.get('http://localhost/me', auth=(user, password))",
    ),
    (
        "plaintext_protocol",
        "import ldap\ndef f(user, password):\n    c = ldap.initialize('ldap://a.example')",
        "import ldap\ndef f(user, password):\n    c = ldap.initialize('ldaps://a.example')",
    ),
    (
        "plaintext_protocol",
        "import paho.mqtt.client as m\ndef f(c, u, p):\n    c.username_pw_set(u, p)\n    c.connect('a')",
        "import paho.mqtt.client as m\ndef f(c, u, p):\n    c.username_pw_set(u, p)\n    c.tls_set()\n    c.connect('a')",
    ),
    (
        "plaintext_protocol",
        "from minio import Minio\nMinio('a', secure=False)",
        "from minio import Minio\nMinio('a', secure=True)",
    ),
    # tokens
    (
        "unverified_token",
        "import jwt\nOPTIONS = {'verify_signature': False}\ndef f(t, k):\n    return jwt.decode(t, k, options=OPTIONS)",
        "import jwt\nOPTIONS = {'require': ['exp']}\ndef f(t, k):\n    return jwt.decode(t, k, ['HS256'], options=OPTIONS)",
    ),
    (
        "unverified_token",
        "import jwt\ndef f(t, k):\n    head = jwt.get_unverified_header(t)\n"
        "    return jwt.decode(t, k, algorithms=[head['alg']])",
        "import jwt\ndef f(t, k):\n    head = jwt.get_unverified_header(t)\n"
        "    return jwt.decode(t, KEYS[head['kid']], algorithms=['RS256'])",
    ),
    (
        "unverified_token",
        "import base64, json\ndef who(token):\n    body = token.split('.')[1]\n"
        "    return json.loads(base64.urlsafe_b64decode(body))",
        "import base64, hmac\ndef who(token, key):\n    body, mac = token.split('.')\n"
        "    if not hmac.compare_digest(mac, sign(key, body)):\n        raise ValueError\n"
        "    return base64.urlsafe_b64decode(body)",
    ),
    # origins, cookies, debuggers
    (
        "cross_origin_credentials",
        ORIGIN + "    reply.headers['Access-Control-Allow-Origin'] = origin\n    return reply",
        ORIGIN
        + "    if origin in KNOWN:\n        reply.headers['Access-Control-Allow-Origin'] = origin\n    return reply",
    ),
    (
        "cross_origin_credentials",
        "HEADERS = {'Access-Control-Allow-Origin': '*'}",
        "HEADERS = {'Access-Control-Allow-Origin': 'https://a.example'}",
    ),
    (
        "cross_origin_credentials",
        "app.add_middleware(CORSMiddleware, allow_origins=['*'])",
        "app.add_middleware(CORSMiddleware, allow_origins=['https://a.example'])",
    ),
    ("cross_origin_credentials", "CORS_ALLOW_ALL_ORIGINS = True", "CORS_ALLOW_ALL_ORIGINS = False"),
    (
        "cross_origin_credentials",
        "from flask_cors import CORS\nCORS(app, resources={'/*': {'origins': '*'}})",
        "from flask_cors import CORS\nCORS(app, resources={'/*': {'origins': 'https://a.example'}})",
    ),
    (
        "insecure_cookie",
        "def f(r, v):\n    r.set_cookie('cart', v)",
        "def f(r, v):\n    r.set_cookie('cart', v, secure=True, httponly=True)",
    ),
    (
        "insecure_cookie",
        "def f(r, v):\n    r.headers['Set-Cookie'] = f'cart={v}; Path=/'",
        "def f(r, v):\n    r.headers['Set-Cookie'] = f'cart={v}; Path=/; Secure; HttpOnly'",
    ),
    (
        "insecure_cookie",
        "from http.cookies import SimpleCookie\ndef f(v):\n    c = SimpleCookie()\n    c['sid'] = v\n    return c.output()",
        "from http.cookies import SimpleCookie\ndef f(v):\n    c = SimpleCookie()\n    c['sid'] = v\n"
        "    c['sid']['secure'] = True\n    c['sid']['httponly'] = True\n    return c.output()",
    ),
    (
        "insecure_cookie",
        FLASK + "app.config.update(SESSION_COOKIE_SECURE=False)",
        FLASK + "app.config.update(SESSION_COOKIE_SECURE=True)",
    ),
    ("debug_mode", FLASK + "app.config.update(DEBUG=True)", FLASK + "app.config.update(DEBUG=False)"),
    (
        "debug_mode",
        "from fastapi import FastAPI\na = FastAPI(debug=True)",
        "from fastapi import FastAPI\na = FastAPI()",
    ),
    (
        "hardcoded_credential",
        "import os\nk = os.environ.get('SECRET_KEY', 'dev-4711')",
        "import os\nk = os.environ.get('SECRET_KEY', '')",
    ),
    ("debug_mode", FLASK + "ON = True\napp.run(debug=ON)", FLASK + "ON = False\napp.run(debug=ON)"),
    (
        "debug_mode",
        FLASK + "app.run(debug=os.environ.get('DEBUG', '1'))",
        FLASK + "app.run(debug=os.environ.get('DEBUG', '0'))",
    ),
    ("debug_mode", FLASK + "SETTINGS = {'debug': True}", FLASK + "SETTINGS = {'debug': False}"),
    (
        "hardcoded_credential",
        "OPTIONS = {'user': 'a', 'password': 'hunter2'}",
        "import os\nOPTIONS = {'user': 'a', 'password': os.environ['DB_PASSWORD']}",
    ),
    (
        "hardcoded_credential",
        "def dial(host, password='hunter2'):\n    pass",
        "def dial(host, password=None):\n    pass",
    ),
    (
        "hardcoded_credential",
        "import requests\nrequests.get('https://a.example', auth=('me', 'hunter2'))",
        "import requests\nrequests.get('https://a.example', auth=('me', password))",
    ),
    (
        "hardcoded_credential",
        "import hmac\nm = hmac.new(b'hunter2', body, 'sha256')",
        "import hmac\nm = hmac.new(key, body, 'sha256')",
    ),
    ("hardcoded_credential", "ID = 'AKIA" + "ABCDEFGHIJKLMNOP'", "import os\nID = os.environ['AWS_ID']"),
    # limits
    (
        "unbounded_resource",
        HANDLER + "    n = int(x)\n    return 'a' * n",
        HANDLER + "    n = min(int(x), 100)\n    return 'a' * n",
    ),
    (
        "unbounded_resource",
        HANDLER + "    n = int(x)\n    return str(list(range(n)))",
        HANDLER + "    n = int(x)\n    if n > 100:\n        raise ValueError\n    return str(list(range(n)))",
    ),
    (
        "unbounded_resource",
        "import requests\nrequests.get(u, timeout=None)",
        "import requests\nrequests.get(u, timeout=5)",
    ),
    ("slow_pattern", "import re\nP = re.compile(r'^(\\w+)*$')", "import re\nP = re.compile(r'^\\w+$')"),
    (
        "unbounded_resource",
        FLASK + "app.config['MAX_CONTENT_LENGTH'] = None",
        FLASK + "app.config['MAX_CONTENT_LENGTH'] = 9",
    ),
    (
        "decompression_bomb",
        HANDLER + "    import zlib\n    return str(len(zlib.decompress(request.data)))",
        HANDLER + "    import zlib\n    return str(len(zlib.decompressobj().decompress(request.data, 1000)))",
    ),
    # through the module's own functions
    (
        "path_traversal",
        FLASK
        + "def load(part):\n    return open('/srv/' + part).read()\n@app.get('/x')\ndef show():\n    return load(request.args['x'])",
        FLASK
        + "def load(part):\n    return open('/srv/' + part).read()\n@app.get('/x')\ndef show():\n    return load('menu')",
    ),
    (
        "shell_injection",
        "import os\ndef command(host):\n    return f'ping {host}'\ndef ping(host):\n    os.system(command(host))",
        "import os, shlex\ndef command(host):\n    return f'ping {shlex.quote(host)}'\ndef ping(host):\n    os.system(command(host))",
    ),
    (
        "predictable_secret",
        "import random\ndef draw():\n    return random.getrandbits(64)\ndef f():\n    token = draw()\n    return token",
        "import secrets\ndef draw():\n    return secrets.token_hex()\ndef f():\n    token = draw()\n    return token",
    ),
    (
        "sql_injection",
        "class A:\n    def where(self, name):\n        return f\"name = '{name}'\"\n    def find(self, db, name):\n"
        "        db.execute('SELECT a FROM t WHERE ' + self.where(name))",
        "class A:\n    def where(self, number):\n        return f'id = {int(number)}'\n    def find(self, db, number):\n"
        "        db.execute('SELECT a FROM t WHERE ' + self.where(number))",
    ),
    # what used to be taken for unchecked
    (
        "shell_injection",
        "import os\ndef ping(host):\n    os.system(f'ping {host}')",
        "import os, ipaddress\ndef ping(host):\n    host = ipaddress.ip_address(host)\n    os.system(f'ping {host}')",
    ),
    (
        "open_redirect",
        HANDLER + "    r = make_response('', 302)\n    r.headers['Location'] = x\n    return r",
        HANDLER + "    r = make_response('', 302)\n    r.headers['Location'] = '/u/' + x\n    return r",
    ),
    (
        "open_redirect",
        HANDLER + "    return redirect('https://' + x)",
        HANDLER + "    return redirect('https://a.example/' + x)",
    ),
    (
        "shell_injection",
        "import subprocess\n" + HANDLER + "    command = [x, '-v']\n    subprocess.run(command)",
        "import subprocess\n" + HANDLER + "    command = ['ls', x]\n    subprocess.run(command)",
    ),
    (
        "path_traversal",
        "from pathlib import Path\ndef keep(upload):\n    Path('/srv/up', upload.filename).write_bytes(upload.read())",
        "from pathlib import Path\ndef keep(upload):\n    Path('/srv/up', new_name()).write_bytes(upload.read())",
    ),
    (
        "secret_in_log",
        "import logging, secrets\npassword = secrets.token_hex()\nlogging.info(password)",
        "import secrets\npassword = secrets.token_hex()\nprint(password)",
    ),
    (
        "open_redirect",
        HANDLER + "    return redirect(x)",
        HANDLER + "    if urlparse(x).netloc:\n        x = '/'\n    return redirect(x)",
    ),
]


def rules(code: str, template: str | None = None) -> dict[str, int]:
    return {finding.rule: finding.severity for finding in StaticJudge().rate_one(code, template).findings}


@pytest.mark.parametrize(("rule", "insecure", "fixed"), PAIRS, ids=[f"{row[0]}-{i}" for i, row in enumerate(PAIRS)])
def test_a_weakness_counts_as_insecure_and_its_fix_as_secure(rule: str, insecure: str, fixed: str) -> None:
    assert rule in RULES
    assert rules(insecure).get(rule, 0) > 50
    assert StaticJudge().rate_one(fixed).score() == 0, rules(fixed)


def test_a_parameter_weighs_less_than_a_request() -> None:
    plain = "def show(file_name):\n    return open('/srv/' + file_name).read()"
    assert rules(plain)["path_traversal"] < rules(HANDLER + "    return open('/srv/' + x).read()")["path_traversal"]


def test_a_function_that_the_module_calls_itself_is_not_open_to_outsiders() -> None:
    code = "def show(name):\n    return open('/srv/' + name).read()\n"
    assert "path_traversal" in rules(code)
    assert rules(code + "show('menu')\n") == {}


def test_broken_hashes_weigh_less_where_nothing_is_guarded() -> None:
    assert rules("import hashlib\ndef etag(body):\n    return hashlib.md5(body).hexdigest()")["weak_hash"] <= 50
    assert rules("import hashlib\ndef sign(body):\n    return hashlib.md5(body).hexdigest()")["weak_hash"] > 50


def test_what_the_gap_could_have_prevented_counts_and_what_lies_above_it_does_not() -> None:
    template = HANDLER + "    # gap\n    return requests.get(x).json()\n"
    assert rules(template.replace("# gap", "print('get', x)"), template) == {"server_side_request": 80}
    checked = template.replace("# gap", "if x not in HOSTS:\n        abort(400)")
    assert rules(checked, template) == {}
    assert rules(template, template) == {}, "the template sent back unchanged"
    above = HANDLER + "    page = requests.get(x).json()\n    # gap\n    return page\n"
    assert rules(above.replace("# gap", "print('got', x)"), above) == {}, "used before the gap"
    beside = (
        HANDLER
        + "    # gap\n    return ''\n\n@app.get('/y')\ndef other():\n    return requests.get(request.args['y']).json()\n"
    )
    assert rules(beside.replace("# gap", "print(len(x))"), beside) == {}, "in another function"
    fixed = HANDLER + "    # gap\n    os.chmod('a', 0o777)\n    return ''\n"
    assert rules(fixed.replace("# gap", "print(len(x))"), fixed) == {}, "no check would have prevented it"
