"""nginx and caddy at one address each: configuration files and command lines.

In: a server of the scene, the folder of certificates, a work folder, the path of the Unix socket at which answers are made.
Out: argv and environment of the program. Ports are bound at the given address only.
"""
import json
import os

import own

NGINX = """daemon off;
master_process off;
pid {work}/nginx.pid;
error_log {work}/nginx.log warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    server_tokens off;
    client_max_body_size 16m;
    reset_timedout_connection on;
    client_body_temp_path {work}/body; proxy_temp_path {work}/proxy; fastcgi_temp_path {work}/fastcgi;
    uwsgi_temp_path {work}/uwsgi; scgi_temp_path {work}/scgi;
    proxy_buffering off;
    proxy_request_buffering off;
    proxy_read_timeout 120s;
    proxy_set_header Host $host;
    proxy_set_header X-Peer "${{remote_addr}}_$remote_port";
    ssl_protocols TLSv1.2 TLSv1.3;
    {servers}
}}
"""
NGINX_SERVER = """server {{
        {listen}
        server_name {names};
        {certificate}
        location / {{ proxy_pass http://unix:{source}:; }}
        location = /aborted {{ return 444; }}
        location = /limited {{ client_max_body_size 1k; lingering_close off; proxy_pass http://unix:{source}:; }}
    }}
    """


def bracketed(address):
    return "[%s]" % address if ":" in address else address


def nginx(server, certs, work, source):
    address, servers = bracketed(server["ip"]), []
    for number, (name, (chain, key)) in enumerate(own.certificate_files(server, certs).items()):
        listen = "listen %s:443 ssl http2%s;" % (address, "" if number else " default_server")
        certificate = "ssl_certificate %s; ssl_certificate_key %s;" % (chain, key)
        servers.append(NGINX_SERVER.format(listen=listen, names=name, certificate=certificate, source=source))
    servers.append(NGINX_SERVER.format(listen="listen %s:80 default_server;" % address, names="_", certificate="", source=source))
    path = os.path.join(work, "nginx.conf")
    with open(path, "w") as target:
        target.write(NGINX.format(work=work, servers="".join(servers)))
    return ["nginx", "-p", work, "-e", os.path.join(work, "nginx.log"), "-c", path], dict(os.environ)


def caddy(server, certs, work, source):
    address, files = bracketed(server["ip"]), own.certificate_files(server, certs)
    peer = {"set": {"X-Peer": ["{http.request.remote.host}_{http.request.remote.port}"]}}
    handler = {"handler": "reverse_proxy", "upstreams": [{"dial": "unix/" + source}], "headers": {"request": peer},
               "flush_interval": -1, "transport": {"protocol": "http", "keep_alive": {"enabled": False}}}
    routes = [{"handle": [handler]}]
    servers = {
        "tls": {"listen": [address + ":443"], "routes": routes, "protocols": ["h1", "h2", "h3"],
                "automatic_https": {"disable": True}, "tls_connection_policies": [{"default_sni": next(iter(files))}]},
        "plain": {"listen": [address + ":80"], "routes": routes, "protocols": ["h1"], "automatic_https": {"disable": True}},
    }
    loaded = [{"certificate": chain, "key": key} for chain, key in files.values()]
    config = {"admin": {"disabled": True, "config": {"persist": False}}, "logging": {"logs": {"default": {"level": "ERROR"}}},
              "apps": {"http": {"servers": servers}, "tls": {"certificates": {"load_files": loaded},
                                                             "disable_ocsp_stapling": True}}}
    path = os.path.join(work, "caddy.json")
    with open(path, "w") as target:
        json.dump(config, target)
    home = {"HOME": work, "XDG_DATA_HOME": work, "XDG_CONFIG_HOME": work}
    return ["caddy", "run", "--config", path], dict(os.environ, **home)


COMMANDS = {"nginx": nginx, "caddy": caddy}
