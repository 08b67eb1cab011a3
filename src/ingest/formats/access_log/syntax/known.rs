//! The well-known formats by their names.

/// The log formats of Apache and nginx whose lines begin others. They have no time of the request of their own.
const COMMON: &str = r#"%h %l %u %t "%r" %>s %b"#;
const COMBINED: &str = r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#;

/// Names and formats of lines of text.
const TEXTS: &[(&str, &str)] = &[
    ("common", COMMON),
    ("combined", COMBINED),
    ("combinedio", r#"%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i" %I %O"#),
    ("vhost_common", r#"%v:%p %h %l %u %t "%r" %>s %b"#),
    ("vhost_combined", r#"%v:%p %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i""#),
    (
        "ingress-nginx",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] [$proxy_alternative_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    ),
    (
        "ingress-nginx-0.25",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent" $request_length $request_time [$proxy_upstream_name] $upstream_addr $upstream_response_length $upstream_response_time $upstream_status $req_id"#,
    ),
    (
        "traefik",
        r#"$remote_addr - $remote_user [$time_local] "$request" $status $word "$http_referer" "$http_user_agent" $word "$router" "$server" $duration"#,
    ),
    (
        "envoy",
        r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%""#,
    ),
    (
        "istio",
        r#"[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"#,
    ),
    (
        "haproxy",
        r#"$word [$time_local] $word $word $word/$word/$word/$word/$request_time_ms $status $word $word $word $word $word $word$captures"$request""#,
    ),
];

/// Names that are detected by the content, the most distinctive first.
pub const DETECTED: &[&str] = &["ingress-nginx", "ingress-nginx-0.25", "traefik", "istio", "envoy"];

/// Names and mappings of lines of JSON.
const JSON: &[(&str, &str)] = &[
    ("caddy", "time=ts:s,method=request.method,endpoint=request.uri,status=status,value=duration:s"),
    (
        "traefik-json",
        "time=StartUTC,method=RequestMethod,endpoint=RequestPath,status=DownstreamStatus,value=Duration:ns",
    ),
    ("istio-json", "time=start_time,method=method,endpoint=path,status=response_code,value=duration:ms"),
    (
        "google-cloud",
        "time=timestamp,method=httpRequest.requestMethod,endpoint=httpRequest.requestUrl,status=httpRequest.status,value=httpRequest.latency",
    ),
];

/// The format of lines of text by its name.
pub fn text(name: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(known, _)| *known == name).map(|(_, format)| *format)
}

/// The mapping of lines of JSON by its name.
pub fn json(name: &str) -> Option<&'static str> {
    JSON.iter().find(|(known, _)| *known == name).map(|(_, mapping)| *mapping)
}

/// All names.
pub fn names() -> impl Iterator<Item = &'static str> {
    TEXTS.iter().chain(JSON).map(|(name, _)| *name)
}
