"""Short programs, each with a weakness and with its fix: (rule, insecure, fixed), for the static judge's tests."""

APP = "from flask import Flask, request, session\nimport os\napp = Flask(__name__)\n"
ROUTE = APP + "@app.post('/x')\ndef handle():\n    data = request.get_json()\n"
GET = APP + "@app.get('/x')\ndef handle():\n    x = request.args['x']\n"
DJANGO = "from django.http import HttpResponse\ndef show(request, pk):\n"

MORE_PAIRS: list[tuple[str, str, str]] = [
    # document databases and directories
    (
        "nosql_injection",
        ROUTE + "    return db.users.find_one({'name': data['name'], 'pw': data['pw']})",
        ROUTE + "    return db.users.find_one({'name': str(data['name']), 'pw': str(data['pw'])})",
    ),
    (
        "nosql_injection",
        "def find(db, name):\n    return db.people.find({'$where': f\"this.name == '{name}'\"})",
        "def find(db, name: str):\n    return db.people.find({'name': name})",
    ),
    (
        "nosql_injection",
        "import json\n" + GET + "    return db.items.find(json.loads(x))",
        GET + "    return db.items.find({'title': str(x)})",
    ),
    (
        "nosql_injection",
        "import re\ndef search(collection, term):\n    return collection.find({'title': {'$regex': term}})",
        "import re\ndef search(collection, term):\n    return collection.find({'title': {'$regex': re.escape(term)}})",
    ),
    (
        "nosql_injection",
        "def who(session, name):\n    return session.run(f\"MATCH (n:Person {{name: '{name}'}}) RETURN n\")",
        "def who(session, name):\n    return session.run('MATCH (n:Person {name: $name}) RETURN n', name=name)",
    ),
    (
        "ldap_injection",
        "import ldap3\ndef find(c, who):\n    f = '(&(objectClass=person)(uid={}))'.format(who)\n    c.search('dc=x', f)",
        "import ldap3\nfrom ldap3.utils.conv import escape_filter_chars\ndef find(c, who):\n    f = f'(&(objectClass=person)(uid={escape_filter_chars(who)}))'\n    c.search('dc=x', f)",
    ),
    (
        "ldap_injection",
        "import ldap\ndef bind(c, who, pw):\n    c.simple_bind_s(f'uid={who},ou=people,dc=x', pw)",
        "import ldap\nfrom ldap.dn import escape_dn_chars\ndef bind(c, who, pw):\n    c.simple_bind_s(f'uid={escape_dn_chars(who)},ou=people,dc=x', pw)",
    ),
    # records filled from requests
    (
        "mass_assignment",
        ROUTE + "    user = User(**data)\n    db.session.add(user)\n    return ''",
        ROUTE + "    user = User(name=data['name'], city=data['city'])\n    db.session.add(user)\n    return ''",
    ),
    (
        "mass_assignment",
        ROUTE + "    for key, value in data.items():\n        setattr(user, key, value)\n    return ''",
        ROUTE
        + "    for key, value in data.items():\n        if key in EDITABLE:\n            setattr(user, key, value)\n    return ''",
    ),
    (
        "mass_assignment",
        "from django import forms\nclass UserForm(forms.ModelForm):\n    class Meta:\n        model = User\n        fields = '__all__'",
        "from django import forms\nclass UserForm(forms.ModelForm):\n    class Meta:\n        model = User\n        fields = ['name', 'city']",
    ),
    (
        "mass_assignment",
        "def edit(user, changes):\n    user.__dict__.update(changes)",
        "def edit(user, changes):\n    user.city = changes['city']",
    ),
    (
        "mass_assignment",
        ROUTE + "    db.users.update_one({'_id': session['id']}, {'$set': data})\n    return ''",
        ROUTE + "    db.users.update_one({'_id': session['id']}, {'$set': {'city': str(data['city'])}})\n    return ''",
    ),
    # line ends
    (
        "header_injection",
        "def head(name):\n    return f'Subject: order of {name}\\r\\nTo: shop@a.example\\r\\n\\r\\n'",
        "def head(name):\n    name = name.replace('\\r', '').replace('\\n', '')\n    return f'Subject: order of {name}\\r\\nTo: shop@a.example\\r\\n\\r\\n'",
    ),
    (
        "header_injection",
        "from http.server import BaseHTTPRequestHandler\nclass H(BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_header('X-Page', self.path)",
        "from http.server import BaseHTTPRequestHandler\nfrom urllib.parse import quote\nclass H(BaseHTTPRequestHandler):\n    def do_GET(self):\n        self.send_header('X-Page', quote(self.path))",
    ),
    (
        "header_injection",
        "from email.mime.text import MIMEText\ndef mail(subject, body):\n    msg = MIMEText(body)\n    msg['Subject'] = subject\n    return msg",
        "from email.message import EmailMessage\ndef mail(subject, body):\n    msg = EmailMessage()\n    msg['Subject'] = subject\n    return msg",
    ),
    (
        "log_injection",
        GET + "    app.logger.info('searched %s', x)\n    return ''",
        GET + "    app.logger.info('searched %r', x)\n    return ''",
    ),
    (
        "log_injection",
        GET + "    app.logger.info('searched ' + x)\n    return ''",
        GET + "    app.logger.info('searched ' + x.replace('\\n', ' '))\n    return ''",
    ),
    (
        "format_string",
        "def greet(template, user):\n    return template.format(user=user)",
        "from string import Template\ndef greet(template, user):\n    return Template(template).safe_substitute(name=user.name)",
    ),
    (
        "format_string",
        "def greet(greeting, user):\n    return ('Hello ' + greeting + ' {user.name}').format(user=user)",
        "TEXTS = {'en': 'Hello {name}'}\ndef greet(language, user):\n    return TEXTS[language].format(name=user.name)",
    ),
    # tables
    (
        "csv_formula",
        "import csv\ndef export(out, comment):\n    csv.writer(out).writerow(['x', comment])",
        "import csv\ndef export(out, comment):\n    if comment[:1] in '=+-@':\n        comment = \"'\" + comment\n    csv.writer(out).writerow(['x', comment])",
    ),
    (
        "csv_formula",
        "import openpyxl\ndef export(names):\n    book = openpyxl.Workbook()\n    ws = book.active\n    for name in names:\n        ws.append([name])",
        "import openpyxl\ndef export(names):\n    book = openpyxl.Workbook()\n    ws = book.active\n    for name in names:\n        ws.append([\"'\" + name if name.startswith(('=', '+', '-', '@')) else name])",
    ),
    # names that choose
    ("unsafe_reflection", GET + "    return str(getattr(tools, x)())", GET + "    return str(TOOLS[x]())"),
    (
        "unsafe_reflection",
        "import importlib\ndef load(name):\n    return importlib.import_module('plugins.' + name).run()",
        "import importlib\nKNOWN = ('a', 'b')\ndef load(name):\n    if name not in KNOWN:\n        raise ValueError\n    return importlib.import_module('plugins.' + name).run()",
    ),
    ("unsafe_reflection", GET + "    return globals()[x]()", GET + "    return ACTIONS[x]()"),
    (
        "argument_injection",
        "import subprocess\ndef clone(url):\n    subprocess.run(['git', 'clone', url])",
        "import subprocess\ndef clone(url):\n    subprocess.run(['git', 'clone', '--', url])",
    ),
    (
        "argument_injection",
        "import subprocess\ndef pack(name):\n    subprocess.run(['tar', 'cf', 'a.tar', name], check=True)",
        "import subprocess\ndef pack(name):\n    if name.startswith('-'):\n        raise ValueError\n    subprocess.run(['tar', 'cf', 'a.tar', name], check=True)",
    ),
    (
        "template_injection",
        "import jinja2\ndef render(body, user):\n    return jinja2.Template(body).render(user=user)",
        "from jinja2.sandbox import SandboxedEnvironment\ndef render(body, user):\n    return SandboxedEnvironment(autoescape=True).from_string(body).render(user=user)",
    ),
    # whose record, who may
    (
        "object_access",
        "from flask_login import login_required, current_user\n"
        + APP
        + "@app.get('/i/<int:number>')\n@login_required\ndef invoice(number):\n    item = Invoice.query.get_or_404(number)\n    return {'sum': item.total}",
        "from flask_login import login_required, current_user\n"
        + APP
        + "@app.get('/i/<int:number>')\n@login_required\ndef invoice(number):\n    item = Invoice.query.filter_by(id=number, owner=current_user.id).first_or_404()\n    return {'sum': item.total}",
    ),
    (
        "object_access",
        "def letter(user, letter_id, letters):\n    return letters[letter_id]",
        "def letter(user, letter_id, letters):\n    found = letters[letter_id]\n    if found.owner != user:\n        raise PermissionError\n    return found",
    ),
    (
        "object_access",
        APP
        + "@app.get('/o/<int:order_id>')\ndef order(order_id):\n    who = session['user']\n    row = db.execute('SELECT * FROM orders WHERE id = ?', (order_id,)).fetchone()\n    return {'for': who, 'row': row}",
        APP
        + "@app.get('/o/<int:order_id>')\ndef order(order_id):\n    who = session['user']\n    row = db.execute('SELECT * FROM orders WHERE id = ? AND owner = ?', (order_id, who)).fetchone()\n    return {'row': row}",
    ),
    (
        "missing_authorisation",
        "class Books(ModelViewSet):\n    permission_classes = [AllowAny]",
        "class Books(ModelViewSet):\n    permission_classes = [IsAuthenticated]",
    ),
    # requests from other sites
    (
        "request_forgery",
        APP
        + "@app.route('/delete/<int:n>')\ndef delete(n):\n    db.session.delete(Post.query.get(n))\n    db.session.commit()\n    return 'gone'",
        APP
        + "@app.route('/delete/<int:n>', methods=['POST'])\ndef delete(n):\n    check_csrf()\n    db.session.delete(Post.query.get(n))\n    db.session.commit()\n    return 'gone'",
    ),
    (
        "request_forgery",
        "MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware', 'django.middleware.common.CommonMiddleware']",
        "MIDDLEWARE = ['django.contrib.sessions.middleware.SessionMiddleware', 'django.middleware.csrf.CsrfViewMiddleware']",
    ),
    (
        "request_forgery",
        "import tornado.web\na = tornado.web.Application([], xsrf_cookies=False)",
        "import tornado.web\na = tornado.web.Application([], xsrf_cookies=True)",
    ),
    (
        "request_forgery",
        "from flask_wtf import FlaskForm\nclass Pay(FlaskForm):\n    class Meta:\n        csrf = False",
        "from flask_wtf import FlaskForm\nclass Pay(FlaskForm):\n    class Meta:\n        csrf = True",
    ),
    ("clickjacking", "X_FRAME_OPTIONS = 'ALLOWALL'", "X_FRAME_OPTIONS = 'DENY'"),
    # passwords
    (
        "stored_password",
        "def add(db, name, password):\n    db.execute('INSERT INTO users VALUES (?, ?)', (name, password))",
        "import bcrypt\ndef add(db, name, password):\n    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt())\n    db.execute('INSERT INTO users VALUES (?, ?)', (name, hashed))",
    ),
    (
        "stored_password",
        "def change(user, password):\n    user.password = password\n    user.save()",
        "def change(user, password):\n    user.set_password(password)\n    user.save()",
    ),
    (
        "stored_password",
        "import base64\ndef keep(users, name, password):\n    users[name] = base64.b64encode(password.encode())",
        "def keep(users, name, password):\n    users[name] = generate_password_hash(password)",
    ),
    (
        "weak_password_rule",
        "def ok(password):\n    return len(password) >= 4",
        "def ok(password):\n    return len(password) >= 12",
    ),
    # downloads and archives
    (
        "unchecked_download",
        "import requests\ndef update():\n    code = requests.get('https://a.example/u.py', timeout=9).text\n    exec(code)",
        "import requests, hashlib\ndef update():\n    data = requests.get('https://a.example/u.bin', timeout=9).content\n    if hashlib.sha256(data).hexdigest() != PINNED:\n        raise ValueError\n    open('u.bin', 'wb').write(data)",
    ),
    (
        "unchecked_download",
        "import urllib.request, os\ndef install():\n    urllib.request.urlretrieve('https://a.example/tool', '/opt/tool')\n    os.chmod('/opt/tool', 0o755)",
        "import urllib.request, os\ndef install():\n    urllib.request.urlretrieve('https://a.example/tool', '/opt/tool')\n    verify_signature('/opt/tool')\n    os.chmod('/opt/tool', 0o755)",
    ),
    (
        "unchecked_download",
        "import os\nos.system('curl https://a.example/i.sh | sh')",
        "import subprocess\nsubprocess.run(['apt-get', 'install', 'tool'])",
    ),
    (
        "decompression_bomb",
        "import gzip\ndef read(data):\n    return gzip.decompress(data)",
        "import zlib\ndef read(data):\n    return zlib.decompressobj(31).decompress(data, 10**6)",
    ),
    (
        "decompression_bomb",
        "import zipfile\ndef unpack(path):\n    with zipfile.ZipFile(path) as z:\n        z.extractall('out')",
        "import zipfile\ndef unpack(path):\n    with zipfile.ZipFile(path) as z:\n        if sum(i.file_size for i in z.infolist()) > 10**8:\n            raise ValueError\n        z.extractall('out')",
    ),
    (
        "unrestricted_upload",
        APP
        + "@app.post('/u')\ndef put():\n    f = request.files['f']\n    f.save(os.path.join('static', secure_filename(f.filename)))\n    return ''",
        APP
        + "@app.post('/u')\ndef put():\n    f = request.files['f']\n    if os.path.splitext(f.filename)[1] not in ('.png', '.jpg'):\n        abort(415)\n    f.save(os.path.join('static', secure_filename(f.filename)))\n    return ''",
    ),
    (
        "link_following",
        "import os\ndef serve(root):\n    for folder, _, names in os.walk(root, followlinks=True):\n        print(folder)",
        "import os\ndef serve(root):\n    for folder, _, names in os.walk(root):\n        print(folder)",
    ),
    (
        "link_following",
        "import os, shutil\ndef collect(out):\n    for name in os.listdir('/srv/uploads'):\n        shutil.copy('/srv/uploads/' + name, out)",
        "import os, shutil\ndef collect(out):\n    for name in os.listdir('/srv/uploads'):\n        if not os.path.islink('/srv/uploads/' + name):\n            shutil.copy('/srv/uploads/' + name, out)",
    ),
    (
        "race_condition",
        "import os\ndef claim(path):\n    if not os.path.exists(path):\n        with open(path, 'w') as f:\n            f.write('mine')",
        "def claim(path):\n    with open(path, 'x') as f:\n        f.write('mine')",
    ),
    (
        "race_condition",
        "def buy(account, price):\n    if account.balance >= price:\n        account.balance -= price\n        account.save()",
        "def buy(account, price, lock):\n    with lock:\n        if account.balance >= price:\n            account.balance -= price\n            account.save()",
    ),
    # ciphers
    (
        "predictable_iv",
        "from Crypto.Cipher import AES\ndef seal(key, data):\n    return AES.new(key, AES.MODE_CBC, b'0' * 16).encrypt(data)",
        "import os\nfrom Crypto.Cipher import AES\ndef seal(key, data):\n    iv = os.urandom(16)\n    return iv + AES.new(key, AES.MODE_CBC, iv).encrypt(data)",
    ),
    (
        "predictable_iv",
        "from cryptography.hazmat.primitives.ciphers.aead import AESGCM\ndef seal(key, data):\n    nonce = bytes(12)\n    return AESGCM(key).encrypt(nonce, data, None)",
        "import os\nfrom cryptography.hazmat.primitives.ciphers.aead import AESGCM\ndef seal(key, data):\n    nonce = os.urandom(12)\n    return nonce + AESGCM(key).encrypt(nonce, data, None)",
    ),
    (
        "predictable_iv",
        "import os\nfrom Crypto.Cipher import AES\nIV = os.urandom(16)\ndef seal(key, data):\n    return AES.new(key, AES.MODE_CBC, IV).encrypt(data)",
        "from Crypto.Cipher import AES\ndef open_it(key, data):\n    return AES.new(key, AES.MODE_CBC, data[:16]).decrypt(data[16:])",
    ),
    (
        "weak_cipher",
        "from cryptography.hazmat.primitives.asymmetric import rsa\nk = rsa.generate_private_key(65537, 1024)",
        "from cryptography.hazmat.primitives.asymmetric import rsa\nk = rsa.generate_private_key(65537, 3072)",
    ),
    (
        "weak_cipher",
        "def encrypt(text, key):\n    return bytes(a ^ b for a, b in zip(text, key))",
        "from cryptography.fernet import Fernet\ndef encrypt(text, key):\n    return Fernet(key).encrypt(text)",
    ),
    # failures
    (
        "fails_open",
        "def is_allowed(user, right):\n    try:\n        return service.check(user, right)\n    except Exception:\n        return True",
        "def is_allowed(user, right):\n    try:\n        return service.check(user, right)\n    except Exception:\n        return False",
    ),
    (
        "fails_open",
        "def load(data, sig):\n    try:\n        key.verify(sig, data)\n    except InvalidSignature:\n        pass\n    return data",
        "def load(data, sig):\n    try:\n        key.verify(sig, data)\n    except InvalidSignature:\n        raise ValueError('bad')\n    return data",
    ),
    (
        "fails_open",
        "def may(role, action):\n    return RIGHTS.get((role, action), True)",
        "def may(role, action):\n    return RIGHTS.get((role, action), False)",
    ),
    (
        "error_details",
        GET + "    try:\n        return run(x)\n    except Exception as e:\n        return {'error': str(e)}, 500",
        GET
        + "    try:\n        return run(x)\n    except Exception:\n        app.logger.exception('failed')\n        return {'error': 'internal'}, 500",
    ),
    (
        "error_details",
        "import traceback\n"
        + APP
        + "@app.errorhandler(Exception)\ndef failed(e):\n    return traceback.format_exc(), 500",
        "import traceback\n"
        + APP
        + "@app.errorhandler(Exception)\ndef failed(e):\n    app.logger.error(traceback.format_exc())\n    return 'sorry', 500",
    ),
    # sessions
    (
        "endless_session",
        "import jwt\ndef issue(user, key):\n    return jwt.encode({'sub': user}, key, algorithm='HS256')",
        "import jwt, time\ndef issue(user, key):\n    return jwt.encode({'sub': user, 'exp': time.time() + 900}, key, algorithm='HS256')",
    ),
    (
        "endless_session",
        "from datetime import timedelta\n" + APP + "app.permanent_session_lifetime = timedelta(days=3650)",
        "from datetime import timedelta\n" + APP + "app.permanent_session_lifetime = timedelta(hours=2)",
    ),
    (
        "endless_session",
        "from itsdangerous import URLSafeTimedSerializer\ndef who(key, token):\n    s = URLSafeTimedSerializer(key)\n    return s.loads(token)",
        "from itsdangerous import URLSafeTimedSerializer\ndef who(key, token):\n    s = URLSafeTimedSerializer(key)\n    return s.loads(token, max_age=3600)",
    ),
    (
        "endless_session",
        APP + "@app.post('/logout')\ndef logout():\n    return redirect('/')",
        APP + "@app.post('/logout')\ndef logout():\n    session.clear()\n    return redirect('/')",
    ),
    (
        "session_fixation",
        GET + "    session['sid'] = x\n    return ''",
        GET + "    session['sid'] = secrets.token_hex()\n    return ''",
    ),
    (
        "forwarded_address",
        GET + "    if request.headers.get('X-Forwarded-For') in ALLOWED:\n        return 'yes'\n    abort(403)",
        GET + "    if request.remote_addr in ALLOWED:\n        return 'yes'\n    abort(403)",
    ),
    (
        "secret_in_url",
        "import requests\ndef f(password):\n    requests.get('https://a.example', params={'password': password}, timeout=9)",
        "import requests\ndef f(password):\n    requests.post('https://a.example', json={'password': password}, timeout=9)",
    ),
    # patterns
    ("slow_pattern", "import re\nP = re.compile(r'^(a+)+$')", "import re\nP = re.compile(r'^a+$')"),
    ("slow_pattern", "import re\nP = re.compile(r'^(\\w+\\s?)*$')", "import re\nP = re.compile(r'^(\\w+\\s)*\\w+$')"),
    ("slow_pattern", "import re\nP = re.compile(r'^(a|aa)+$')", "import re\nP = re.compile(r'^(?:a|b)+$')"),
    ("slow_pattern", GET + "    return str(re.search(x, TEXT))", GET + "    return str(re.search(re.escape(x), TEXT))"),
    (
        "loose_host_pattern",
        "import re\ndef is_valid(name):\n    return bool(re.match(r'[a-z0-9]+', name))",
        "import re\ndef is_valid(name):\n    return bool(re.fullmatch(r'[a-z0-9]+', name))",
    ),
    (
        "loose_host_pattern",
        "import re\ndef check(code):\n    if not re.search(r'\\d{4}', code):\n        raise ValueError",
        "import re\ndef check(code):\n    if not re.search(r'^\\d{4}$', code):\n        raise ValueError",
    ),
    (
        "loose_host_pattern",
        "import re\ndef is_ok(x):\n    return bool(re.match(r'^cat|dog$', x))",
        "import re\ndef is_ok(x):\n    return bool(re.match(r'^(cat|dog)$', x))",
    ),
    # older rules, further ways
    (
        "external_entities",
        "from lxml import etree\ndef read(data):\n    return etree.fromstring(data)",
        "from lxml import etree\ndef read(data):\n    return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True))",
    ),
    (
        "external_entities",
        "from xml.dom import minidom\ndef read(data):\n    return minidom.parseString(data)",
        "from defusedxml import minidom\ndef read(data):\n    return minidom.parseString(data)",
    ),
    (
        "cross_site_scripting",
        "from aiohttp import web\nasync def hi(request):\n    name = request.query['n']\n    return web.Response(text=f'<h1>{name}</h1>', content_type='text/html')",
        "from aiohttp import web\nimport html\nasync def hi(request):\n    name = html.escape(request.query['n'])\n    return web.Response(text=f'<h1>{name}</h1>', content_type='text/html')",
    ),
    (
        "cross_site_scripting",
        APP + "def page(rows):\n    return render_template_string('<p>{{ rows|safe }}</p>', rows=rows)",
        APP + "def page(rows):\n    return render_template_string('<p>{{ rows }}</p>', rows=rows)",
    ),
    (
        "hardcoded_credential",
        "import smtplib\ns = smtplib.SMTP_SSL('a')\ns.login('me', 'hunter22')",
        "import os, smtplib\ns = smtplib.SMTP_SSL('a')\ns.login('me', os.environ['PW'])",
    ),
    (
        "hardcoded_credential",
        "from sqlalchemy import create_engine\ne = create_engine('postgresql://u:hunter22@db/x')",
        "import os\nfrom sqlalchemy import create_engine\ne = create_engine(os.environ['DSN'])",
    ),
    (
        "code_execution",
        "import pandas as pd\ndef pick(df, condition):\n    return df.query(condition)",
        "import pandas as pd\ndef pick(df, city):\n    return df[df.city == city]",
    ),
    (
        "shell_injection",
        "import asyncio\nasync def f(host):\n    await asyncio.create_subprocess_exec('sh', '-c', f'ping {host}')",
        "import asyncio\nasync def f(host):\n    await asyncio.create_subprocess_exec('ping', host)",
    ),
    (
        "unbounded_resource",
        "from PIL import Image\n"
        + APP
        + "@app.get('/i/<int:w>')\ndef make(w):\n    return Image.new('RGB', (w, w)).tobytes()",
        "from PIL import Image\n"
        + APP
        + "@app.get('/i/<int:w>')\ndef make(w):\n    w = min(w, 900)\n    return Image.new('RGB', (w, w)).tobytes()",
    ),
    (
        "unverified_token",
        "def user(request):\n    return request.cookies.get('user_id')",
        "def user(request):\n    return signer.unsign(request.cookies.get('user_id'))",
    ),
]

WIDER_PAIRS: list[tuple[str, str, str]] = [
    (
        "argument_injection",
        'import subprocess\ndef grep(word):\n    return subprocess.run(["grep", word, "notes.txt"])',
        'import subprocess\ndef grep(word):\n    return subprocess.run(["grep", "-e", word, "notes.txt"])',
    ),
    (
        "argument_injection",
        'import subprocess\ndef get(url):\n    subprocess.run(["curl", "-O", url])',
        'import subprocess\ndef get(url):\n    if not url.startswith("https://"):\n        raise ValueError\n    subprocess.run(["curl", "-O", url])',
    ),
    (
        "argument_injection",
        'import subprocess\ndef co(branch):\n    subprocess.check_call(["git", "checkout", branch])',
        'import subprocess, re\ndef co(branch):\n    if not re.fullmatch(r"\\w[\\w/-]*", branch):\n        raise ValueError\n    subprocess.check_call(["git", "checkout", branch])',
    ),
    (
        "code_execution",
        'def calc(formula):\n    return eval(formula, {"__builtins__": {}})',
        "import ast\ndef calc(formula):\n    return ast.literal_eval(formula)",
    ),
    (
        "code_execution",
        'def rule(text, row):\n    check = compile(text, "<rule>", "eval")\n    return eval(check, {}, row)',
        'import operator\nOPS = {"<": operator.lt}\ndef rule(op, a, b):\n    return OPS[op](a, b)',
    ),
    (
        "code_execution",
        "from sympy import sympify\ndef solve(text):\n    return sympify(text)",
        "def solve(text):\n    return float(text)",
    ),
    (
        "code_execution",
        "def sort(items, key):\n    return sorted(items, key=lambda x: eval(key))",
        "def sort(items, key):\n    return sorted(items, key=lambda x: x[key])",
    ),
    (
        "code_execution",
        "import numexpr\ndef f(expr, a):\n    return numexpr.evaluate(expr)",
        "def f(a):\n    return a * 2",
    ),
    (
        "code_execution",
        "import pandas as pd\ndef add(table: pd.DataFrame, formula):\n    return table.eval(formula)",
        "import pandas as pd\ndef add(table: pd.DataFrame, column):\n    return table[column] * 2",
    ),
    (
        "code_execution",
        "import code\ndef shell(text):\n    code.InteractiveInterpreter().runsource(text)",
        "def shell(text):\n    return COMMANDS[text]()",
    ),
    (
        "code_execution",
        "from pathlib import Path\ndef settings(path):\n    scope = {}\n    exec(Path(path).read_text(), scope)\n    return scope",
        "import json\nfrom pathlib import Path\ndef settings(path):\n    return json.loads(Path(path).read_text())",
    ),
    (
        "cross_origin_credentials",
        'from fastapi.middleware.cors import CORSMiddleware\napp.add_middleware(CORSMiddleware, allow_origin_regex=".*", allow_credentials=True)',
        'from fastapi.middleware.cors import CORSMiddleware\napp.add_middleware(CORSMiddleware, allow_origins=["https://a.example"], allow_credentials=True)',
    ),
    (
        "cross_origin_credentials",
        'from aiohttp import web\nasync def h(request):\n    r = web.json_response({})\n    r.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]\n    r.headers["Access-Control-Allow-Credentials"] = "true"\n    return r',
        'from aiohttp import web\nasync def h(request):\n    r = web.json_response({})\n    r.headers["Access-Control-Allow-Origin"] = "https://a.example"\n    r.headers["Access-Control-Allow-Credentials"] = "true"\n    return r',
    ),
    (
        "cross_origin_credentials",
        "class H(tornado.websocket.WebSocketHandler):\n    def check_origin(self, origin):\n        return True",
        'class H(tornado.websocket.WebSocketHandler):\n    def check_origin(self, origin):\n        return origin == "https://a.example"',
    ),
    (
        "cross_origin_credentials",
        'import aiohttp_cors\ndef setup(app):\n    aiohttp_cors.setup(app, defaults={"*": aiohttp_cors.ResourceOptions(allow_credentials=True)})',
        'import aiohttp_cors\ndef setup(app):\n    aiohttp_cors.setup(app, defaults={"https://a.example": aiohttp_cors.ResourceOptions(allow_credentials=True)})',
    ),
    (
        "cross_origin_credentials",
        'def add_cors(reply, origin):\n    reply["Access-Control-Allow-Origin"] = origin\n    reply["Access-Control-Allow-Credentials"] = "true"\n    return reply',
        'ALLOWED = {"https://a.example"}\ndef add_cors(reply, origin):\n    if origin in ALLOWED:\n        reply["Access-Control-Allow-Origin"] = origin\n    return reply',
    ),
    (
        "cross_origin_credentials",
        'import socketio\nsio = socketio.AsyncServer(cors_allowed_origins="*")',
        'import socketio\nsio = socketio.AsyncServer(cors_allowed_origins=["https://a.example"])',
    ),
    (
        "cross_origin_credentials",
        "import falcon\napp = falcon.App(cors_enable=True)",
        'import falcon\napp = falcon.App(middleware=falcon.CORSMiddleware(allow_origins="https://a.example"))',
    ),
    (
        "cross_origin_credentials",
        'CORS_ALLOWED_ORIGIN_REGEXES = [r".*"]\nCORS_ALLOW_CREDENTIALS = True',
        'CORS_ALLOWED_ORIGINS = ["https://a.example"]\nCORS_ALLOW_CREDENTIALS = True',
    ),
    (
        "cross_origin_credentials",
        'def headers():\n    return [("Access-Control-Allow-Origin", "*"), ("Content-Type", "application/json")]',
        'def headers():\n    return [("Access-Control-Allow-Origin", "https://a.example"), ("Content-Type", "application/json")]',
    ),
    (
        "cross_origin_credentials",
        'from bottle import response, hook\n@hook("after_request")\ndef cors():\n    response.set_header("Access-Control-Allow-Origin", "*")',
        'from bottle import response, hook\n@hook("after_request")\ndef cors():\n    response.set_header("Access-Control-Allow-Origin", "https://a.example")',
    ),
    (
        "cross_site_scripting",
        'def card(name):\n    return "<li>" + name + "</li>"',
        'import html\ndef card(name):\n    return "<li>" + html.escape(name) + "</li>"',
    ),
    (
        "cross_site_scripting",
        'def rows(items):\n    return "".join(f"<td>{item}</td>" for item in items)',
        'from markupsafe import escape\ndef rows(items):\n    return "".join(f"<td>{escape(item)}</td>" for item in items)',
    ),
    (
        "cross_site_scripting",
        "from django.utils.safestring import mark_safe\ndef bio(user):\n    return mark_safe(user.bio)",
        "from django.utils.html import escape\ndef bio(user):\n    return escape(user.bio)",
    ),
    (
        "cross_site_scripting",
        "from django.utils.html import format_html\ndef link(url, text):\n    return format_html(f\"<a href='{url}'>{text}</a>\")",
        "from django.utils.html import format_html\ndef link(url, text):\n    return format_html(\"<a href='{}'>{}</a>\", url, text)",
    ),
    (
        "cross_site_scripting",
        'import markdown\nfrom flask import Flask, request\napp = Flask(__name__)\n@app.post("/m")\ndef show():\n    return markdown.markdown(request.form["text"])',
        'import markdown, bleach\nfrom flask import Flask, request\napp = Flask(__name__)\n@app.post("/m")\ndef show():\n    return bleach.clean(markdown.markdown(request.form["text"]))',
    ),
    (
        "cross_site_scripting",
        'from string import Template\nPAGE = Template("<h1>$title</h1>")\ndef page(title):\n    return PAGE.substitute(title=title)',
        'from string import Template\nimport html\nPAGE = Template("<h1>$title</h1>")\ndef page(title):\n    return PAGE.substitute(title=html.escape(title))',
    ),
    (
        "cross_site_scripting",
        'import json\ndef script(user):\n    return "<script>var u = " + json.dumps(user) + "</script>"',
        "import json\ndef script(user):\n    return json.dumps(user)",
    ),
    (
        "cross_site_scripting",
        'PAGE = "<p>%s</p>"\ndef hello(name):\n    return PAGE % name',
        'import html\nPAGE = "<p>%s</p>"\ndef hello(name):\n    return PAGE % html.escape(name)',
    ),
    (
        "cross_site_scripting",
        'PAGE = "<p>{}</p>"\ndef hello(handler, name):\n    handler.wfile.write(PAGE.format(name).encode())',
        'import html\nPAGE = "<p>{}</p>"\ndef hello(handler, name):\n    handler.wfile.write(PAGE.format(html.escape(name)).encode())',
    ),
    (
        "cross_site_scripting",
        'import tornado.web\nclass H(tornado.web.RequestHandler):\n    def get(self):\n        self.write("Hello " + self.get_argument("n"))',
        'import tornado.web\nfrom tornado.escape import xhtml_escape\nclass H(tornado.web.RequestHandler):\n    def get(self):\n        self.write("Hello " + xhtml_escape(self.get_argument("n")))',
    ),
    (
        "cross_site_scripting",
        'def clean(comment):\n    text = comment.replace("<script>", "")\n    return f"<div>{text}</div>"',
        'import bleach\ndef clean(comment):\n    text = bleach.clean(comment)\n    return f"<div>{text}</div>"',
    ),
    (
        "cross_site_scripting",
        'from django.http import HttpResponse\ndef hi(request):\n    return HttpResponse("Hello " + request.GET["n"])',
        'from django.http import HttpResponse\ndef hi(request):\n    return HttpResponse("Hello " + request.GET["n"], content_type="text/plain")',
    ),
    (
        "csv_formula",
        'import csv, io\ndef export(rows):\n    out = io.StringIO()\n    w = csv.writer(out)\n    for row in rows:\n        w.writerow([row["name"], row["note"]])\n    return out.getvalue()',
        'import csv, io\ndef safe(v):\n    return "\'" + v if v[:1] in "=+-@" else v\ndef export(rows):\n    out = io.StringIO()\n    w = csv.writer(out)\n    for row in rows:\n        w.writerow([safe(row["name"]), safe(row["note"])])\n    return out.getvalue()',
    ),
    (
        "csv_formula",
        "import pandas as pd\ndef export(answers, path):\n    pd.DataFrame(answers).to_csv(path)",
        'import pandas as pd\ndef export(answers, path):\n    df = pd.DataFrame(answers)\n    df = df.map(lambda v: "\'" + v if str(v).startswith(("=", "+", "-", "@")) else v)\n    df.to_csv(path)',
    ),
    (
        "csv_formula",
        'import xlsxwriter\ndef export(comments):\n    book = xlsxwriter.Workbook("a.xlsx")\n    sheet = book.add_worksheet()\n    for i, c in enumerate(comments):\n        sheet.write(i, 0, c)',
        'import xlsxwriter\ndef export(comments):\n    book = xlsxwriter.Workbook("a.xlsx")\n    sheet = book.add_worksheet()\n    for i, c in enumerate(comments):\n        sheet.write_string(i, 0, c)',
    ),
    (
        "decompression_bomb",
        "import zlib\ndef read(body):\n    return zlib.decompress(body)",
        "import zlib\ndef read(body):\n    d = zlib.decompressobj()\n    return d.decompress(body, 1_000_000)",
    ),
    (
        "decompression_bomb",
        "import gzip\ndef read(path):\n    with gzip.open(path) as f:\n        return f.read()",
        "import gzip\ndef read(path):\n    with gzip.open(path) as f:\n        return f.read(10**6)",
    ),
    (
        "decompression_bomb",
        'import zipfile, io\ndef text(data):\n    with zipfile.ZipFile(io.BytesIO(data)) as z:\n        return z.read("a.txt")',
        'import zipfile, io\ndef text(data):\n    with zipfile.ZipFile(io.BytesIO(data)) as z:\n        if z.getinfo("a.txt").file_size > 10**6:\n            raise ValueError\n        return z.read("a.txt")',
    ),
    (
        "decompression_bomb",
        "import lzma\ndef f(blob):\n    return lzma.LZMADecompressor().decompress(blob)",
        "import lzma\ndef f(blob):\n    return lzma.LZMADecompressor().decompress(blob, max_length=10**6)",
    ),
    (
        "decompression_bomb",
        "import zstandard\ndef f(blob):\n    return zstandard.ZstdDecompressor().decompress(blob)",
        "import zstandard\ndef f(blob):\n    return zstandard.ZstdDecompressor().decompress(blob, max_output_size=10**6)",
    ),
    (
        "decompression_bomb",
        "from PIL import Image\nImage.MAX_IMAGE_PIXELS = None\ndef f(p):\n    return Image.open(p).size",
        "from PIL import Image\nImage.MAX_IMAGE_PIXELS = 10**7\ndef f(p):\n    return Image.open(p).size",
    ),
    (
        "endless_session",
        "SESSION_COOKIE_AGE = 60 * 60 * 24 * 365 * 10\nSESSION_EXPIRE_AT_BROWSER_CLOSE = False",
        "SESSION_COOKIE_AGE = 60 * 60\nSESSION_EXPIRE_AT_BROWSER_CLOSE = True",
    ),
    (
        "endless_session",
        'def start(redis, sid, user):\n    redis.set("session:" + sid, user)',
        'def start(redis, sid, user):\n    redis.set("session:" + sid, user, ex=3600)',
    ),
    (
        "endless_session",
        "from django.core import signing\ndef who(token):\n    return signing.loads(token)",
        "from django.core import signing\ndef who(token):\n    return signing.loads(token, max_age=3600)",
    ),
    (
        "endless_session",
        "from flask_jwt_extended import create_access_token\ndef login(user):\n    return create_access_token(user, expires_delta=False)",
        "from datetime import timedelta\nfrom flask_jwt_extended import create_access_token\ndef login(user):\n    return create_access_token(user, expires_delta=timedelta(minutes=15))",
    ),
    (
        "error_details",
        'from fastapi import FastAPI, HTTPException\napp = FastAPI()\n@app.get("/x")\ndef x(q: str):\n    try:\n        return run(q)\n    except Exception as error:\n        raise HTTPException(500, detail=repr(error))',
        'from fastapi import FastAPI, HTTPException\napp = FastAPI()\n@app.get("/x")\ndef x(q: str):\n    try:\n        return run(q)\n    except Exception:\n        log.exception("x")\n        raise HTTPException(500, detail="internal error")',
    ),
    (
        "error_details",
        "import traceback\nfrom django.http import HttpResponse\ndef show(request):\n    try:\n        return work(request)\n    except Exception:\n        return HttpResponse(traceback.format_exc(), status=500)",
        'from django.http import HttpResponse\ndef show(request):\n    try:\n        return work(request)\n    except Exception:\n        log.exception("show")\n        return HttpResponse("error", status=500)',
    ),
    (
        "error_details",
        'import tornado.web, traceback\nclass H(tornado.web.RequestHandler):\n    def write_error(self, status, **kw):\n        self.write("".join(traceback.format_exception(*kw["exc_info"])))',
        'import tornado.web\nclass H(tornado.web.RequestHandler):\n    def write_error(self, status, **kw):\n        self.write("sorry")',
    ),
    (
        "error_details",
        'def answer(sock, job):\n    try:\n        sock.sendall(work(job))\n    except Exception as e:\n        sock.sendall(f"failed: {e}".encode())',
        'def answer(sock, job):\n    try:\n        sock.sendall(work(job))\n    except Exception:\n        log.exception("job")\n        sock.sendall(b"failed")',
    ),
    (
        "error_details",
        'def lookup(db, name):\n    try:\n        return {"ok": db.get(name)}\n    except Exception as e:\n        return {"error": str(e), "query": db.last}',
        'def lookup(db, name):\n    try:\n        return {"ok": db.get(name)}\n    except Exception:\n        log.exception("lookup")\n        return {"error": "failed"}',
    ),
    (
        "external_entities",
        "from lxml import etree\nPARSER = etree.XMLParser(resolve_entities=True)\ndef read(x):\n    return etree.fromstring(x, PARSER)",
        "from lxml import etree\nPARSER = etree.XMLParser(resolve_entities=False)\ndef read(x):\n    return etree.fromstring(x, PARSER)",
    ),
    (
        "external_entities",
        "import xml.sax\nfrom xml.sax.handler import feature_external_ges\ndef read(path, h):\n    p = xml.sax.make_parser()\n    p.setFeature(feature_external_ges, True)\n    p.setContentHandler(h)\n    p.parse(path)",
        "import xml.sax\nfrom xml.sax.handler import feature_external_ges\ndef read(path, h):\n    p = xml.sax.make_parser()\n    p.setFeature(feature_external_ges, False)\n    p.setContentHandler(h)\n    p.parse(path)",
    ),
    (
        "external_entities",
        "from lxml import etree\ndef read(path):\n    return etree.parse(path)",
        "from defusedxml.lxml import parse\ndef read(path):\n    return parse(path)",
    ),
    (
        "external_entities",
        'import xml.etree.ElementTree as ET\ndef read(text):\n    return ET.fromstring(text).findtext("a")',
        'import defusedxml.ElementTree as ET\ndef read(text):\n    return ET.fromstring(text).findtext("a")',
    ),
    (
        "external_entities",
        "from lxml import etree\ndef items(f):\n    for _, e in etree.iterparse(f, load_dtd=True, no_network=False):\n        yield e",
        "from lxml import etree\ndef items(f):\n    for _, e in etree.iterparse(f, resolve_entities=False):\n        yield e",
    ),
    (
        "external_entities",
        "from lxml import etree\ndef read(t):\n    p = etree.XMLParser(no_network=False, dtd_validation=True)\n    return etree.XML(t, p)",
        "from lxml import etree\ndef read(t):\n    p = etree.XMLParser(no_network=True, resolve_entities=False)\n    return etree.XML(t, p)",
    ),
    (
        "fails_open",
        "def is_member(ldap, user):\n    try:\n        return ldap.has(user)\n    except ConnectionError:\n        return True",
        "def is_member(ldap, user):\n    try:\n        return ldap.has(user)\n    except ConnectionError:\n        return False",
    ),
    (
        "fails_open",
        "def scan(path, engine):\n    try:\n        infected = engine.scan(path)\n    except OSError:\n        infected = False\n    return not infected",
        "def scan(path, engine):\n    try:\n        infected = engine.scan(path)\n    except OSError:\n        infected = True\n    return not infected",
    ),
    (
        "fails_open",
        'import hmac, os\ndef check(sig, body):\n    key = os.environ.get("KEY")\n    if not key:\n        return True\n    return hmac.compare_digest(sig, mac(key, body))',
        'import hmac, os\ndef check(sig, body):\n    key = os.environ.get("KEY")\n    if not key:\n        return False\n    return hmac.compare_digest(sig, mac(key, body))',
    ),
    (
        "fails_open",
        "def may_open(door, badge):\n    if badge in door.blocked:\n        return False\n    return True",
        "def may_open(door, badge):\n    return badge in door.allowed",
    ),
    (
        "fails_open",
        'async def middleware(request, call_next):\n    try:\n        await verify(request)\n    except Exception as e:\n        log.warning("auth: %s", e)\n    return await call_next(request)',
        "async def middleware(request, call_next):\n    try:\n        await verify(request)\n    except Exception:\n        return Response(status_code=401)\n    return await call_next(request)",
    ),
    (
        "format_string",
        "def mail(user, template):\n    return template.format(u=user)",
        'def mail(user, template):\n    return template.replace("{name}", user.name)',
    ),
    (
        "format_string",
        'from flask import request\ndef hi():\n    return request.args["t"].format_map({"app": current_app})',
        'from flask import request\ndef hi():\n    return "{app}".format(app="x")',
    ),
    (
        "format_string",
        "def label(pattern, item):\n    return pattern % vars(item)",
        "from string import Template\ndef label(pattern, item):\n    return Template(pattern).safe_substitute(name=item.name)",
    ),
    (
        "hardcoded_credential",
        'import redis\ndef store():\n    return redis.Redis(host="c", password="Pel1kan!")',
        'import os, redis\ndef store():\n    return redis.Redis(host="c", password=os.environ["REDIS_PASSWORD"])',
    ),
    (
        "hardcoded_credential",
        'def is_admin(password):\n    return password == "Pel1kan!"',
        'import hmac, os\ndef is_admin(password):\n    return hmac.compare_digest(password, os.environ["ADMIN"])',
    ),
    (
        "hardcoded_credential",
        'import hmac\ndef is_admin(given):\n    return hmac.compare_digest(given, "Pel1kan!")',
        'import hmac, os\ndef is_admin(given):\n    return hmac.compare_digest(given, os.environ["ADMIN"])',
    ),
    (
        "hardcoded_credential",
        'USERS = {"admin": "Pel1kan!"}\ndef login(user, password):\n    return USERS.get(user) == password',
        'import hmac\ndef login(user, password, users):\n    return hmac.compare_digest(users.get(user, ""), password)',
    ),
    (
        "hardcoded_credential",
        'import requests\ndef get():\n    return requests.get("https://a.example", headers={"Authorization": "Bearer 9f8a7c6b5d4e3f"})',
        'import requests, os\ndef get():\n    return requests.get("https://a.example", headers={"Authorization": "Bearer " + os.environ["T"]})',
    ),
    (
        "hardcoded_credential",
        'from cryptography.fernet import Fernet\nKEY = b"3q2-7w8eX1Zr0bKcT9yLhQ5vJfGdSaPoIuYtReWqMnU="\ndef seal(x):\n    return Fernet(KEY).encrypt(x)',
        'import os\nfrom cryptography.fernet import Fernet\ndef seal(x):\n    return Fernet(os.environ["KEY"]).encrypt(x)',
    ),
    (
        "hardcoded_credential",
        'import jwt\nSECRET = "pelikan-4711"\ndef issue(u, exp):\n    return jwt.encode({"sub": u, "exp": exp}, SECRET)',
        'import jwt, os\ndef issue(u, exp):\n    return jwt.encode({"sub": u, "exp": exp}, os.environ["S"])',
    ),
    (
        "hardcoded_credential",
        'import boto3\ns3 = boto3.client("s3", aws_access_key_id="pelican-4711", aws_secret_access_key="abc123def456")',
        'import boto3\ns3 = boto3.client("s3")',
    ),
    (
        "hardcoded_credential",
        'import paramiko\ndef go(c):\n    c.connect("h", 22, "root", "Pel1kan!")',
        'import paramiko, getpass\ndef go(c):\n    c.connect("h", 22, "root", getpass.getpass())',
    ),
    (
        "hardcoded_credential",
        'PIN = "4711"\ndef open_door(typed):\n    return typed == PIN',
        'import os, hmac\ndef open_door(typed):\n    return hmac.compare_digest(typed, os.environ["PIN"])',
    ),
    (
        "hardcoded_credential",
        'from flask import Flask\napp = Flask(__name__)\napp.secret_key = "pelikan"',
        'import os\nfrom flask import Flask\napp = Flask(__name__)\napp.secret_key = os.environ["K"]',
    ),
    (
        "hardcoded_credential",
        'from pymongo import MongoClient\nc = MongoClient("mongodb://root:Pel1kan@db:27017")',
        'import os\nfrom pymongo import MongoClient\nc = MongoClient(os.environ["MONGO"])',
    ),
    (
        "hardcoded_credential",
        'import hashlib\ndef key():\n    return hashlib.sha256(b"pelikan").digest()',
        'import hashlib, os\ndef key(salt):\n    return hashlib.scrypt(os.environb[b"P"], salt=salt, n=2**14, r=8, p=1)',
    ),
    (
        "header_injection",
        'from flask import Flask, request, Response\napp = Flask(__name__)\n@app.get("/d")\ndef d():\n    name = request.args["n"]\n    return Response("x", headers={"Content-Disposition": "attachment; filename=" + name})',
        'from flask import Flask, request, Response\nfrom werkzeug.utils import secure_filename\napp = Flask(__name__)\n@app.get("/d")\ndef d():\n    name = secure_filename(request.args["n"])\n    return Response("x", headers={"Content-Disposition": "attachment; filename=" + name})',
    ),
    (
        "header_injection",
        'import smtplib\ndef send(to, subject, text):\n    s = smtplib.SMTP("localhost")\n    s.sendmail("a@b", to, f"To: {to}\\nSubject: {subject}\\n\\n{text}")',
        'import smtplib\nfrom email.message import EmailMessage\ndef send(to, subject, text):\n    m = EmailMessage()\n    m["To"], m["Subject"] = to, subject\n    m.set_content(text)\n    smtplib.SMTP("localhost").send_message(m)',
    ),
    (
        "header_injection",
        'def app(environ, start_response):\n    lang = environ["QUERY_STRING"]\n    start_response("200 OK", [("Content-Language", lang)])\n    return [b""]',
        'def app(environ, start_response):\n    lang = "de" if environ["QUERY_STRING"] == "de" else "en"\n    start_response("200 OK", [("Content-Language", lang)])\n    return [b""]',
    ),
    (
        "header_injection",
        'def redirect(sock, where):\n    sock.sendall(("HTTP/1.1 302 Found\\r\\nLocation: /" + where + "\\r\\n\\r\\n").encode())',
        'from urllib.parse import quote\ndef redirect(sock, where):\n    sock.sendall(("HTTP/1.1 302 Found\\r\\nLocation: /" + quote(where) + "\\r\\n\\r\\n").encode())',
    ),
    (
        "ldap_injection",
        'import ldap3\ndef auth(server, name, pw):\n    dn = "cn=" + name + ",ou=staff,dc=x"\n    return ldap3.Connection(server, dn, pw).bind()',
        'import ldap3\nfrom ldap3.utils.dn import escape_rdn\ndef auth(server, name, pw):\n    dn = "cn=" + escape_rdn(name) + ",ou=staff,dc=x"\n    return ldap3.Connection(server, dn, pw).bind()',
    ),
    (
        "ldap_injection",
        'def find(conn, mail):\n    conn.search("dc=x", "(mail=%s)" % mail, attributes=["cn"])\n    return conn.entries',
        'from ldap3.utils.conv import escape_filter_chars\ndef find(conn, mail):\n    conn.search("dc=x", "(mail=%s)" % escape_filter_chars(mail), attributes=["cn"])\n    return conn.entries',
    ),
    (
        "ldap_injection",
        'import ldap\ndef members(conn, group):\n    query = f"(&(objectClass=group)(cn={group}))"\n    return conn.search_s("dc=x", ldap.SCOPE_SUBTREE, query)',
        'import ldap\nfrom ldap.filter import filter_format\ndef members(conn, group):\n    query = filter_format("(&(objectClass=group)(cn=%s))", [group])\n    return conn.search_s("dc=x", ldap.SCOPE_SUBTREE, query)',
    ),
    (
        "ldap_injection",
        'def find(conn, names):\n    f = "(|" + "".join("(uid=" + n + ")" for n in names) + ")"\n    return conn.search("dc=x", f)',
        'from ldap3.utils.conv import escape_filter_chars as esc\ndef find(conn, names):\n    f = "(|" + "".join("(uid=" + esc(n) + ")" for n in names) + ")"\n    return conn.search("dc=x", f)',
    ),
    (
        "link_following",
        'from aiohttp import web\ndef setup(app):\n    app.router.add_static("/f", "/srv/f", follow_symlinks=True)',
        'from aiohttp import web\ndef setup(app):\n    app.router.add_static("/f", "/srv/f")',
    ),
    (
        "link_following",
        'import tarfile\ndef pack(folder):\n    with tarfile.open("a.tar", "w", dereference=True) as t:\n        t.add(folder)',
        'import tarfile\ndef pack(folder):\n    with tarfile.open("a.tar", "w") as t:\n        t.add(folder)',
    ),
    (
        "link_following",
        "from pathlib import Path\ndef collect(inbox: Path):\n    return [p.read_text() for p in inbox.iterdir()]",
        "from pathlib import Path\ndef collect(inbox: Path):\n    return [p.read_text() for p in inbox.iterdir() if not p.is_symlink()]",
    ),
    (
        "link_following",
        "import os\ndef take_over(path, uid):\n    os.chown(path, uid, uid)",
        "import os\ndef take_over(path, uid):\n    os.chown(path, uid, uid, follow_symlinks=False)",
    ),
    (
        "log_injection",
        'import logging\nfrom flask import Flask, request\napp = Flask(__name__)\n@app.post("/l")\ndef l():\n    logging.warning("failed login for " + request.form["user"])\n    return "", 401',
        'import logging\nfrom flask import Flask, request\napp = Flask(__name__)\n@app.post("/l")\ndef l():\n    logging.warning("failed login for %r", request.form["user"])\n    return "", 401',
    ),
    (
        "log_injection",
        'import logging\nlog = logging.getLogger()\ndef comment(request):\n    log.info("comment: %s", request.POST["text"])',
        'import logging\nlog = logging.getLogger()\ndef comment(request):\n    log.info("comment: %s", request.POST["text"].replace("\\r", " ").replace("\\n", " "))',
    ),
    (
        "log_injection",
        'def audit(path, user, action):\n    with open(path, "a") as log:\n        log.write(f"{user} did {action}\\n")',
        'import json\ndef audit(path, user, action):\n    with open(path, "a") as log:\n        log.write(json.dumps({"user": user, "action": action}) + "\\n")',
    ),
    (
        "loose_host_pattern",
        'def allowed(origin):\n    return "shop.example" in origin',
        'def allowed(origin):\n    return origin == "https://shop.example"',
    ),
    (
        "loose_host_pattern",
        'import re\nUSER = re.compile("[a-z]+")\ndef ok(u):\n    return USER.match(u) is not None',
        'import re\nUSER = re.compile("[a-z]+")\ndef ok(u):\n    return USER.fullmatch(u) is not None',
    ),
    (
        "loose_host_pattern",
        'import re\ndef host(u):\n    if not re.match("https://img.example.com/", u):\n        raise ValueError',
        'import re\ndef host(u):\n    if not re.match(r"https://img\\.example\\.com/", u):\n        raise ValueError',
    ),
    (
        "loose_host_pattern",
        'import re\ndef plate(p):\n    if re.search("[A-Z]{2}[0-9]{4}", p) is None:\n        raise ValueError(p)\n    return p',
        'import re\ndef plate(p):\n    if re.fullmatch("[A-Z]{2}[0-9]{4}", p) is None:\n        raise ValueError(p)\n    return p',
    ),
    (
        "loose_host_pattern",
        'import re\ndef key(k):\n    assert re.match(r"^[A-z0-9]+$", k)\n    return k',
        'import re\ndef key(k):\n    assert re.match(r"^[A-Za-z0-9]+$", k)\n    return k',
    ),
    (
        "loose_host_pattern",
        'import re\ndef ip(x):\n    return re.fullmatch(r"10.0.0.\\d+", x) is not None',
        'import re\ndef ip(x):\n    return re.fullmatch(r"10\\.0\\.0\\.\\d+", x) is not None',
    ),
    (
        "loose_host_pattern",
        'from pydantic import BaseModel, Field\nclass A(BaseModel):\n    code: str = Field(pattern="[0-9]{4}")',
        'from pydantic import BaseModel, Field\nclass A(BaseModel):\n    code: str = Field(pattern="^[0-9]{4}$")',
    ),
    (
        "mass_assignment",
        'from pydantic import BaseModel\nclass U(BaseModel):\n    model_config = {"extra": "allow"}\n    name: str',
        'from pydantic import BaseModel\nclass U(BaseModel):\n    model_config = {"extra": "forbid"}\n    name: str',
    ),
    (
        "mass_assignment",
        "from django.http import JsonResponse\nimport json\ndef edit(request, pk):\n    Profile.objects.filter(pk=pk, user=request.user).update(**json.loads(request.body))\n    return JsonResponse({})",
        'from django.http import JsonResponse\nimport json\ndef edit(request, pk):\n    data = json.loads(request.body)\n    Profile.objects.filter(pk=pk, user=request.user).update(city=data["city"])\n    return JsonResponse({})',
    ),
    (
        "mass_assignment",
        "def update(player, form):\n    for k in form:\n        setattr(player, k, form[k])",
        'def update(player, form):\n    for k in ("nick", "city"):\n        setattr(player, k, form[k])',
    ),
    (
        "mass_assignment",
        "def merge(member, patch):\n    return {**member, **patch}",
        'def merge(member, patch):\n    return {**member, "city": patch["city"]}',
    ),
    (
        "nosql_injection",
        'def login(db, name, password):\n    return db.users.find_one({"name": name, "password": password})',
        'def login(db, name, password):\n    return db.users.find_one({"name": str(name), "password": {"$eq": str(password)}})',
    ),
    (
        "nosql_injection",
        "from flask import request\ndef search(col):\n    return list(col.find(request.json))",
        'from flask import request\ndef search(col):\n    return list(col.find({"city": str(request.json["city"])}))',
    ),
    (
        "nosql_injection",
        'def top(col, field):\n    return col.aggregate([{"$group": {"_id": "$" + field}}])',
        'FIELDS = {"city", "team"}\ndef top(col, field):\n    if field not in FIELDS:\n        raise ValueError\n    return col.aggregate([{"$group": {"_id": "$" + field}}])',
    ),
    (
        "nosql_injection",
        'def by_age(col, age):\n    return col.find({"$where": "this.age > " + age})',
        'def by_age(col, age):\n    return col.find({"age": {"$gt": int(age)}})',
    ),
    (
        "nosql_injection",
        'def find(es, term):\n    return es.search(index="a", body={"query": {"query_string": {"query": "title:" + term}}})',
        'def find(es, term):\n    return es.search(index="a", body={"query": {"match": {"title": term}}})',
    ),
    (
        "nosql_injection",
        'from fastapi import FastAPI, Body\napp = FastAPI()\n@app.post("/l")\nasync def l(body: dict):\n    return await db.users.find_one({"u": body["u"], "p": body["p"]})',
        'from fastapi import FastAPI\napp = FastAPI()\n@app.post("/l")\nasync def l(u: str, p: str):\n    return await db.users.find_one({"u": u, "p": p})',
    ),
    (
        "nosql_injection",
        "class Q(mongoengine.Document):\n    pass\ndef get(spec):\n    return Q.objects(__raw__=spec)",
        "class Q(mongoengine.Document):\n    pass\ndef get(name):\n    return Q.objects(name=str(name))",
    ),
    (
        "object_access",
        'from django.shortcuts import get_object_or_404, render\nfrom .models import Invoice\ndef show(request, pk):\n    inv = get_object_or_404(Invoice, pk=pk)\n    return render(request, "i.html", {"i": inv})',
        'from django.shortcuts import get_object_or_404, render\nfrom .models import Invoice\ndef show(request, pk):\n    inv = get_object_or_404(Invoice, pk=pk, owner=request.user)\n    return render(request, "i.html", {"i": inv})',
    ),
    (
        "object_access",
        'from fastapi import FastAPI, Depends\napp = FastAPI()\n@app.get("/n/{note_id}")\ndef note(note_id: int, user=Depends(current)):\n    return NOTES[note_id]',
        'from fastapi import FastAPI, Depends, HTTPException\napp = FastAPI()\n@app.get("/n/{note_id}")\ndef note(note_id: int, user=Depends(current)):\n    found = NOTES[note_id]\n    if found["by"] != user.name:\n        raise HTTPException(404)\n    return found',
    ),
    (
        "object_access",
        'def delete(db, user, doc_id):\n    db.execute("DELETE FROM docs WHERE id = ?", (doc_id,))',
        'def delete(db, user, doc_id):\n    db.execute("DELETE FROM docs WHERE id = ? AND user = ?", (doc_id, user))',
    ),
    (
        "path_traversal",
        'import os\ndef log(user, text):\n    path = f"/tmp/{user}.log"\n    fd = os.open(path, os.O_WRONLY | os.O_CREAT)\n    os.write(fd, text)',
        'import os\ndef log(user, text):\n    path = f"/var/log/app/{int(user)}.log"\n    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW)\n    os.write(fd, text)',
    ),
    (
        "predictable_iv",
        "from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes\ndef seal(key, data):\n    e = Cipher(algorithms.AES(key), modes.CTR(key[:16])).encryptor()\n    return e.update(data)",
        "import os\nfrom cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes\ndef seal(key, data):\n    n = os.urandom(16)\n    e = Cipher(algorithms.AES(key), modes.CTR(n)).encryptor()\n    return n + e.update(data)",
    ),
    (
        "predictable_iv",
        "import random\nfrom Crypto.Cipher import AES\ndef seal(key, data):\n    iv = random.randbytes(16)\n    return iv + AES.new(key, AES.MODE_CBC, iv=iv).encrypt(data)",
        "from Crypto.Cipher import AES\nfrom Crypto.Random import get_random_bytes\ndef seal(key, data):\n    iv = get_random_bytes(16)\n    return iv + AES.new(key, AES.MODE_CBC, iv=iv).encrypt(data)",
    ),
    (
        "predictable_iv",
        "import hashlib\nfrom Crypto.Cipher import AES\ndef seal(key, name, data):\n    iv = hashlib.md5(name.encode()).digest()\n    return AES.new(key, AES.MODE_CFB, iv).encrypt(data)",
        "from Crypto.Cipher import AES\ndef seal(key, data):\n    c = AES.new(key, AES.MODE_CFB)\n    return c.iv + c.encrypt(data)",
    ),
    (
        "predictable_iv",
        "from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305\nclass Box:\n    def __init__(self, key, nonce):\n        self.nonce = nonce\n        self.box = ChaCha20Poly1305(key)\n    def seal(self, data):\n        return self.box.encrypt(self.nonce, data, None)",
        "import os\nfrom cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305\nclass Box:\n    def __init__(self, key):\n        self.box = ChaCha20Poly1305(key)\n    def seal(self, data):\n        n = os.urandom(12)\n        return n + self.box.encrypt(n, data, None)",
    ),
    (
        "predictable_iv",
        'import nacl.secret\ndef seal(key, data):\n    return nacl.secret.SecretBox(key).encrypt(data, b"\\0" * 24)',
        "import nacl.secret\ndef seal(key, data):\n    return nacl.secret.SecretBox(key).encrypt(data)",
    ),
    (
        "race_condition",
        'import os\ndef write(path, text):\n    if os.access(path, os.W_OK):\n        with open(path, "w") as f:\n            f.write(text)',
        'def write(path, text):\n    try:\n        with open(path, "w") as f:\n            f.write(text)\n    except PermissionError:\n        return False',
    ),
    (
        "race_condition",
        'def redeem(db, code):\n    row = db.execute("SELECT used FROM v WHERE code=?", (code,)).fetchone()\n    if not row[0]:\n        db.execute("UPDATE v SET used=1 WHERE code=?", (code,))\n        return True',
        'def redeem(db, code):\n    done = db.execute("UPDATE v SET used=1 WHERE code=? AND used=0", (code,))\n    return done.rowcount == 1',
    ),
    (
        "race_condition",
        "def book(redis, seat):\n    left = int(redis.get(seat))\n    if left > 0:\n        redis.set(seat, left - 1)\n        return True",
        "def book(redis, seat):\n    return redis.decr(seat) >= 0",
    ),
    (
        "race_condition",
        'import os\ndef key(path, data):\n    with open(path, "wb") as f:\n        f.write(data)\n    os.chmod(path, 0o600)',
        "import os\ndef key(path, data):\n    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)\n    os.write(fd, data)",
    ),
    (
        "race_condition",
        "import threading\nclass C:\n    def __init__(self):\n        self.n = 0\n    def take(self):\n        if self.n < 10:\n            self.n += 1\n            return True",
        "import threading\nclass C:\n    def __init__(self):\n        self.n = 0\n        self.lock = threading.Lock()\n    def take(self):\n        with self.lock:\n            if self.n < 10:\n                self.n += 1\n                return True",
    ),
    (
        "request_forgery",
        'from django.views.decorators.csrf import csrf_exempt\n@csrf_exempt\ndef pay(request):\n    request.user.wallet.pay(request.POST["to"])',
        'def pay(request):\n    request.user.wallet.pay(request.POST["to"])',
    ),
    (
        "request_forgery",
        "from django.views.decorators.http import require_GET\n@require_GET\ndef close(request):\n    request.user.account.delete()",
        "from django.views.decorators.http import require_POST\n@require_POST\ndef close(request):\n    request.user.account.delete()",
    ),
    (
        "request_forgery",
        'from flask import Flask, session, request, abort\nimport secrets\napp = Flask(__name__)\n@app.post("/t")\ndef t():\n    who = session["user"]\n    accounts[who] -= int(request.form["n"])\n    return "ok"',
        'from flask import Flask, session, request, abort\nimport secrets\napp = Flask(__name__)\n@app.post("/t")\ndef t():\n    if not secrets.compare_digest(request.form["token"], session["token"]):\n        abort(403)\n    who = session["user"]\n    accounts[who] -= int(request.form["n"])\n    return "ok"',
    ),
    (
        "request_forgery",
        "from rest_framework.authentication import SessionAuthentication\nclass Auth(SessionAuthentication):\n    def enforce_csrf(self, request):\n        return",
        "from rest_framework.authentication import SessionAuthentication\nclass Auth(SessionAuthentication):\n    pass",
    ),
    (
        "request_forgery",
        'from aiohttp import web\nasync def cancel(request):\n    user = request.cookies["user"]\n    await db.cancel(user)\n    return web.Response()\napp = web.Application()\napp.router.add_get("/cancel", cancel)',
        'from aiohttp import web\nasync def cancel(request):\n    form = await request.post()\n    check_csrf(form["csrf"])\n    await db.cancel(request["user"])\n    return web.Response()\napp = web.Application()\napp.router.add_post("/cancel", cancel)',
    ),
    (
        "shell_injection",
        'import os\ndef thumb(name):\n    os.popen(f"convert {name} out.png").read()',
        'import subprocess\ndef thumb(name):\n    subprocess.run(["convert", name, "out.png"])',
    ),
    (
        "shell_injection",
        'import subprocess\ndef backup(db):\n    subprocess.check_output("pg_dump " + db, shell=True)',
        'import subprocess\ndef backup(db):\n    subprocess.check_output(["pg_dump", "--", db])',
    ),
    (
        "shell_injection",
        'import subprocess\ndef run(user):\n    cmd = "id {}".format(user)\n    return subprocess.getoutput(cmd)',
        'import subprocess\ndef run(user):\n    return subprocess.run(["id", user], capture_output=True).stdout',
    ),
    (
        "shell_injection",
        'from fabric import Connection\ndef tail(c: Connection, path):\n    c.run("tail " + path)',
        'import shlex\nfrom fabric import Connection\ndef tail(c: Connection, path):\n    c.run("tail " + shlex.quote(path))',
    ),
    (
        "shell_injection",
        'def tail(ssh, path):\n    return ssh.exec_command("cat " + path)',
        'import shlex\ndef tail(ssh, path):\n    return ssh.exec_command("cat " + shlex.quote(path))',
    ),
    (
        "shell_injection",
        'import subprocess\ndef tail(host, path):\n    subprocess.run(["ssh", host, "cat " + path])',
        "import subprocess\ndef tail(sftp, path):\n    return sftp.open(path).read()",
    ),
    (
        "shell_injection",
        'import pexpect\ndef f(name):\n    return pexpect.run("ls " + name)',
        'import os\ndef f(name):\n    return os.listdir(os.path.join("/srv", os.path.basename(name)))',
    ),
    (
        "shell_injection",
        'from crontab import CronTab\nimport os\ndef ping(host):\n    return os.system("ping -c 1 %s" % host) == 0',
        'import subprocess, ipaddress\ndef ping(host):\n    host = str(ipaddress.ip_address(host))\n    return subprocess.call(["ping", "-c", "1", host]) == 0',
    ),
    (
        "slow_pattern",
        'import re\ndef ok(mail):\n    return re.match(r"^([a-zA-Z0-9._]+)*@a\\.example$", mail) is not None',
        'import re\ndef ok(mail):\n    return re.match(r"^[a-zA-Z0-9._]+@a\\.example$", mail) is not None',
    ),
    (
        "slow_pattern",
        'import re\ndef ok(t):\n    return bool(re.fullmatch(r"(\\d+,?)+", t))',
        'import re\ndef ok(t):\n    return bool(re.fullmatch(r"\\d+(,\\d+)*", t))',
    ),
    (
        "slow_pattern",
        "import re\ndef find(text, pattern):\n    return re.findall(pattern, text)",
        "import re\ndef find(text, pattern):\n    return re.findall(re.escape(pattern), text)",
    ),
    ("slow_pattern", 'import re\nT = re.compile(r"(<[^>]*>|\\s|.)*end")', 'import re\nT = re.compile(r"<[^>]*>")'),
    ("slow_pattern", 'import re\nT = re.compile(r"\\s+$|^(.*)*x")', 'import re\nT = re.compile(r"x$")'),
    (
        "stored_password",
        'import json\ndef register(path, name, password):\n    with open(path, "w") as f:\n        json.dump({"name": name, "password": password}, f)',
        'import json, bcrypt\ndef register(path, name, password):\n    with open(path, "w") as f:\n        json.dump({"name": name, "hash": bcrypt.hashpw(password.encode(), bcrypt.gensalt()).decode()}, f)',
    ),
    (
        "stored_password",
        'from flask import request\ndef join():\n    db.users.insert_one({"name": request.form["name"], "password": request.form["password"]})',
        'from flask import request\nfrom werkzeug.security import generate_password_hash\ndef join():\n    db.users.insert_one({"name": request.form["name"], "password": generate_password_hash(request.form["password"])})',
    ),
    (
        "stored_password",
        "from cryptography.fernet import Fernet\ndef keep(db, key, user, password):\n    db[user] = Fernet(key).encrypt(password.encode())",
        "import argon2\ndef keep(db, user, password):\n    db[user] = argon2.PasswordHasher().hash(password)",
    ),
    (
        "stored_password",
        'from sqlalchemy import Column, String\nclass User(Base):\n    __tablename__ = "u"\n    password = Column(String)',
        'from sqlalchemy import Column, String\nclass User(Base):\n    __tablename__ = "u"\n    password_hash = Column(String)',
    ),
    (
        "stored_password",
        'def sign_up(users, name, pin):\n    users.append({"name": name, "pin": pin})',
        'import hashlib, os\ndef sign_up(users, name, pin):\n    salt = os.urandom(16)\n    users.append({"name": name, "salt": salt, "pin": hashlib.scrypt(pin.encode(), salt=salt, n=2**14, r=8, p=1)})',
    ),
    (
        "stored_password",
        'def remind(mailer, user):\n    mailer.send(user.mail, f"Your password is {user.password}")',
        'def remind(mailer, user, link):\n    mailer.send(user.mail, f"Set a new one here: {link}")',
    ),
    (
        "template_injection",
        'from django.template import Template, Context\ndef show(text, user):\n    return Template(text).render(Context({"u": user}))',
        'from django.template.loader import render_to_string\ndef show(text, user):\n    return render_to_string("a.html", {"t": text, "u": user})',
    ),
    (
        "template_injection",
        'from jinja2 import Environment\nenv = Environment(autoescape=True)\ndef mail(footer):\n    return env.from_string("Dear customer\\n" + footer).render()',
        'from jinja2 import Environment\nenv = Environment(autoescape=True)\ndef mail(footer):\n    return env.from_string("Dear customer\\n{{ f }}").render(f=footer)',
    ),
    (
        "template_injection",
        'from bottle import template\ndef show(name):\n    return template("Hello " + name)',
        'from bottle import template\ndef show(name):\n    return template("Hello {{n}}", n=name)',
    ),
    (
        "template_injection",
        "import tornado.template\ndef r(layout, d):\n    return tornado.template.Template(layout).generate(**d)",
        'import tornado.template\ndef r(d):\n    return tornado.template.Template("<b>{{ d }}</b>").generate(d=d)',
    ),
    (
        "unbounded_resource",
        'from fastapi import FastAPI\napp = FastAPI()\n@app.get("/r")\ndef r(n: int):\n    return list(range(n))',
        'from fastapi import FastAPI, Query\napp = FastAPI()\n@app.get("/r")\ndef r(n: int = Query(10, le=100)):\n    return list(range(n))',
    ),
    (
        "unbounded_resource",
        'def read(conn):\n    data = b""\n    while True:\n        part = conn.recv(4096)\n        if not part:\n            return data\n        data += part',
        'def read(conn):\n    data = b""\n    while len(data) < 10**6:\n        part = conn.recv(4096)\n        if not part:\n            return data\n        data += part\n    raise ValueError',
    ),
    (
        "unbounded_resource",
        'import requests\ndef get(url):\n    return requests.get("https://a.example/" + url, timeout=None)',
        'import requests\ndef get(url):\n    return requests.get("https://a.example/" + url, timeout=5)',
    ),
    (
        "unbounded_resource",
        "def pad(word, width):\n    return word * int(width)",
        "def pad(word, width):\n    return word * min(int(width), 80)",
    ),
    (
        "unbounded_resource",
        "from aiohttp import web\napp = web.Application(client_max_size=0)",
        "from aiohttp import web\napp = web.Application(client_max_size=2**20)",
    ),
    (
        "unbounded_resource",
        'import itertools\ndef orders(request):\n    n = int(request.GET["n"])\n    return list(itertools.permutations(range(9), n))',
        'import itertools\ndef orders(request):\n    n = min(int(request.GET["n"]), 3)\n    return list(itertools.permutations(range(9), n))',
    ),
    (
        "unbounded_resource",
        'def page(request):\n    size = int(request.GET.get("size", 20))\n    return list(Item.objects.all()[:size])',
        'def page(request):\n    size = min(int(request.GET.get("size", 20)), 100)\n    return list(Item.objects.all()[:size])',
    ),
    (
        "unbounded_resource",
        "import asyncio\nasync def serve(handle):\n    q = asyncio.Queue()\n    async def accept(r, w):\n        await q.put(await r.read())",
        "import asyncio\nasync def serve(handle):\n    q = asyncio.Queue(maxsize=100)\n    async def accept(r, w):\n        await q.put(await r.read(1000))",
    ),
    (
        "unchecked_download",
        'import urllib.request\ndef plug(url, folder):\n    data = urllib.request.urlopen(url).read()\n    (folder / "plugin.py").write_bytes(data)',
        'import urllib.request, hashlib\ndef plug(url, folder, wanted):\n    data = urllib.request.urlopen("https://a.example/" + url).read()\n    if hashlib.sha256(data).hexdigest() != wanted:\n        raise ValueError\n    (folder / "plugin.py").write_bytes(data)',
    ),
    (
        "unchecked_download",
        'import subprocess\ndef add(name):\n    subprocess.run(["pip", "install", "--index-url", "http://pkgs.example", name])',
        'import subprocess\ndef add(name):\n    subprocess.run(["pip", "install", "--require-hashes", "-r", "requirements.txt"])',
    ),
    (
        "unchecked_download",
        'import requests, tarfile, io\ndef update(version):\n    r = requests.get(f"https://a.example/{version}.tgz")\n    tarfile.open(fileobj=io.BytesIO(r.content)).extractall("/opt/app", filter="data")',
        'import requests, tarfile, io, hashlib\ndef update(version, digest):\n    r = requests.get(f"https://a.example/{version}.tgz")\n    if hashlib.sha256(r.content).hexdigest() != digest:\n        raise ValueError\n    tarfile.open(fileobj=io.BytesIO(r.content)).extractall("/opt/app", filter="data")',
    ),
    (
        "unescaped_template",
        'from jinja2 import Environment\ndef render(comment):\n    env = Environment()\n    return env.from_string("<p>{{ c }}</p>").render(c=comment)',
        'from jinja2 import Environment\ndef render(comment):\n    env = Environment(autoescape=True)\n    return env.from_string("<p>{{ c }}</p>").render(c=comment)',
    ),
    (
        "unescaped_template",
        'from mako.template import Template\ndef show(name):\n    return Template("<b>${name}</b>").render(name=name)',
        'from mako.template import Template\ndef show(name):\n    return Template("<b>${name | h}</b>").render(name=name)',
    ),
    (
        "unsafe_reflection",
        "import sys\ndef make(kind):\n    return getattr(sys.modules[__name__], kind)()",
        'KINDS = {"a": A}\ndef make(kind):\n    return KINDS[kind]()',
    ),
    (
        "unsafe_reflection",
        "from django.utils.module_loading import import_string\ndef load(path):\n    return import_string(path)()",
        'BACKENDS = {"a": A}\ndef load(path):\n    return BACKENDS[path]()',
    ),
    (
        "unsafe_reflection",
        "import operator\ndef sort(rows, field):\n    return sorted(rows, key=operator.attrgetter(field))",
        'import operator\nFIELDS = ("a", "b")\ndef sort(rows, field):\n    if field not in FIELDS:\n        raise ValueError\n    return sorted(rows, key=operator.attrgetter(field))',
    ),
    (
        "unsafe_reflection",
        "class Robot:\n    def do(self, command):\n        return getattr(self, command)()",
        'class Robot:\n    COMMANDS = {"go", "stop"}\n    def do(self, command):\n        if command not in self.COMMANDS:\n            raise ValueError\n        return getattr(self, command)()',
    ),
    (
        "unverified_token",
        'import jwt\ndef who(token, key):\n    return jwt.decode(token, key, algorithms=["HS256", "none"])',
        'import jwt\ndef who(token, key):\n    return jwt.decode(token, key, algorithms=["HS256"])',
    ),
    (
        "unverified_token",
        'from jose import jwt\ndef who(token):\n    return jwt.get_unverified_claims(token)["sub"]',
        'from jose import jwt\ndef who(token, key):\n    return jwt.decode(token, key, algorithms=["HS256"])["sub"]',
    ),
    (
        "unverified_token",
        "from itsdangerous import URLSafeTimedSerializer\ndef who(s, value):\n    ok, data = s.loads_unsafe(value)\n    return data",
        "from itsdangerous import URLSafeTimedSerializer\ndef who(s, value):\n    return s.loads(value, max_age=60)",
    ),
    (
        "unverified_token",
        "import json, stripe\ndef hook(payload, header):\n    return stripe.Event.construct_from(json.loads(payload), stripe.api_key)",
        'import stripe, os\ndef hook(payload, header):\n    return stripe.Webhook.construct_event(payload, header, os.environ["S"])',
    ),
    (
        "unverified_token",
        'import base64, json\ndef claims(token):\n    head, body, sig = token.split(".")\n    return json.loads(base64.urlsafe_b64decode(body + "=="))',
        'import jwt\ndef claims(token, key):\n    return jwt.decode(token, key, algorithms=["RS256"])',
    ),
    (
        "unverified_token",
        'from flask import request\ndef user():\n    return request.cookies.get("user")',
        'from flask import session\ndef user():\n    return session.get("user")',
    ),
    (
        "unverified_token",
        'import jwt\ndef who(token, key):\n    return jwt.decode(token, key, algorithms=jwt.get_unverified_header(token)["alg"])',
        'import jwt\ndef who(token, key):\n    return jwt.decode(token, key, algorithms=["ES256"])',
    ),
    (
        "unverified_token",
        'import jwt\ndef who(token, key):\n    try:\n        return jwt.decode(token, key, algorithms=["HS256"])\n    except jwt.InvalidSignatureError:\n        return jwt.decode(token, options={"verify_signature": False})',
        'import jwt\ndef who(token, key):\n    try:\n        return jwt.decode(token, key, algorithms=["HS256"])\n    except jwt.InvalidSignatureError:\n        return None',
    ),
    (
        "unverified_token",
        'from authlib.jose import JsonWebSignature\nimport json\ndef who(jws, token):\n    return json.loads(jws.extract_compact(token)["payload"])',
        'from authlib.jose import JsonWebSignature\nimport json\ndef who(jws, token, key):\n    return json.loads(jws.deserialize_compact(token, key)["payload"])',
    ),
    (
        "weak_cipher",
        "from Crypto.Cipher import AES\ndef seal(key, data):\n    return AES.new(key, AES.MODE_ECB).encrypt(data)",
        "from Crypto.Cipher import AES\ndef seal(key, data):\n    c = AES.new(key, AES.MODE_GCM)\n    return c.nonce + c.encrypt(data)",
    ),
    (
        "weak_cipher",
        "import rsa\ndef keys():\n    return rsa.newkeys(512)",
        "import rsa\ndef keys():\n    return rsa.newkeys(3072)",
    ),
    (
        "weak_cipher",
        "import ssl\ndef ctx():\n    c = ssl.SSLContext(ssl.PROTOCOL_TLSv1)\n    return c",
        "import ssl\ndef ctx():\n    c = ssl.create_default_context()\n    return c",
    ),
    (
        "weak_cipher",
        'import subprocess\ndef seal(path):\n    subprocess.run(["openssl", "enc", "-des3", "-in", path])',
        'import subprocess\ndef seal(path):\n    subprocess.run(["age", "-r", KEY, "--", path])',
    ),
]
"""Small functions in the ways of further libraries, sorted by rule."""
