//! Lines of well-known formats with the values expected, detection, refusals, and lines that are altered at random.

use proptest::{prelude::*, sample::select};

use super::{JsonMap, LogFormat, TimeUnit, detect::detect};
use crate::ingest::submission::Candidate;

/// The fields that all servers write alike.
const HEAD: &str = r#"203.0.113.9 - - [31/Jan/2026:13:00:00 +0100] "GET /orders/1 HTTP/1.1" 200 12"#;
const COMBINED: &str = r#"203.0.113.9 - - [31/Jan/2026:13:00:00 +0100] "GET /orders/1 HTTP/1.1" 200 12 "-" "curl/8""#;
const MOMENT: &str = "2026-01-31T12:00:00Z";

fn format(written: &str) -> LogFormat {
    written.parse().unwrap_or_else(|error| panic!("{written}: {error}"))
}

fn read(format: &LogFormat, line: &str) -> Candidate {
    format.parse(line.as_bytes()).unwrap_or_else(|error| panic!("{format:?}\n{line}\n{error}")).candidate
}

#[track_caller]
fn assert_read(format: &LogFormat, line: &str, endpoint: &str, value: f64, moment: &str) {
    let row = read(format, line);
    assert_eq!(
        (row.endpoint.as_str(), row.value, row.timestamp.unwrap().to_string().as_str()),
        (endpoint, value, moment),
        "{line}"
    );
}

/// Formats as a server's configuration has them, lines that the server writes, and the values in milliseconds.
const LINES: &[(&str, &str, f64)] = &[
    // nginx
    ("combined $request_time", r"{COMBINED} 0.250", 250.0),
    (r#"combined "$http_x_forwarded_for" $request_time"#, r#"{COMBINED} "10.0.0.1, 10.0.0.2" 1.001"#, 1_001.0),
    (r#"combined "$request_time" "$upstream_response_time""#, r#"{COMBINED} "0.250" "0.249""#, 250.0),
    ("combined $request_time $upstream_response_time $pipe", r"{COMBINED} 0.250 0.100, 0.149 .", 250.0),
    ("combined $upstream_response_time $upstream_status", r"{COMBINED} 0.100, - : 0.201 502, 504 : 200", 301.0),
    (
        r#"combined rt=$request_time uct="$upstream_connect_time" urt="$upstream_response_time""#,
        r#"{COMBINED} rt=0.250 uct="0.001, 0.002" urt="0.1, 0.2""#,
        250.0,
    ),
    (
        "$request_time $remote_addr - $remote_user [$time_local] \"$request\" $status",
        r#"0.250 203.0.113.9 - - [31/Jan/2026:13:00:00 +0100] "GET /orders/1 HTTP/1.1" 200"#,
        250.0,
    ),
    (
        r#"$msec $remote_addr $request_method "$request_uri" $status ${request_time}"#,
        r#"1769860800.000 ::1 GET "/orders/1" 200 0.250"#,
        250.0,
    ),
    (
        r"[$time_iso8601] $request_method $host$request_uri $server_protocol $status $request_time",
        r"[2026-01-31T13:00:00+01:00] GET shop.example/orders/1 HTTP/2.0 200 0.250",
        250.0,
    ),
    (
        r#"log_format main '$remote_addr - $remote_user [$time_local] "$request" '  '$status $request_time';"#,
        r#"::1 - - [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 0.250"#,
        250.0,
    ),
    ("combined $request_time_ms", r"{COMBINED} 250", 250.0),
    (
        r#"log_format json escape=json '{"time":"$time_iso8601","request":"$request","status":$status,"took":"$request_time"}';"#,
        r#"{"time":"2026-01-31T12:00:00+00:00","request":"GET /orders/1 HTTP/1.1","status":200,"took":"0.250"}"#,
        250.0,
    ),
    // Apache
    (r#"%h %l %u %t \"%r\" %>s %b %D"#, r"{HEAD} 1500", 1.5),
    (r#"%h %l %u %t "%r" %>s %b %T"#, r"{HEAD} 2", 2_000.0),
    (r#"%h %l %u %t "%r" %>s %b %{ms}T"#, r"{HEAD} 250", 250.0),
    ("common %T/%D", r"{HEAD} 2/2126669", 2_126.669),
    ("common %{s}T %D", r"{HEAD} 0 12345", 12.345),
    (
        r#"%{%d/%b/%Y:%H:%M:%S}t.%{msec_frac}t %{%z}t %h "%r" %>s %D"#,
        r#"31/Jan/2026:13:00:00.000 +0100 ::1 "GET /orders/1 HTTP/1.1" 200 1500"#,
        1.5,
    ),
    (r#"%{usec}t %h "%m %U%q %H" %s %D"#, r#"1769860800000000 ::1 "GET /orders/1?a=b c HTTP/1.1" 200 1500"#, 1.5),
    (
        r#"%v:%p %h %l %u %t "%r" %>s %O "%{Referer}i" "%{User-Agent}i" **%T/%D**"#,
        r"shop.example:443 {COMBINED} **0/250000**",
        250.0,
    ),
    (r"combinedio %D", r"{COMBINED} 512 1024 250000", 250.0),
    (
        r#"LogFormat "%h %l %u %t \"%r\" %>s %b \"%{Referer}i\" \"%{User-Agent}i\" %D" timed"#,
        r"{COMBINED} 250000",
        250.0,
    ),
    // Others
    ("ingress-nginx", r"{COMBINED} 89 0.250 [default-web-8080] [] 10.0.0.5:8080 59 0.248 200 0123456789abcdef", 250.0),
    (
        "ingress-nginx",
        r"{COMBINED} 348 0.301 [default-web-8080] [] 10.0.0.6:8080, 10.0.0.7:8080 61, 100 0.100, 0.201 504, 200 0123",
        301.0,
    ),
    (
        "ingress-nginx-0.25",
        r"{COMBINED} 89 0.250 [default-web-8080] 10.0.0.5:8080 59 0.248 200 0123456789abcdef",
        250.0,
    ),
    ("traefik", r#"{COMBINED} 162 "web@docker" "http://10.0.0.3:80" 22ms"#, 22.0),
    (
        "envoy",
        r#"[2026-01-31T12:00:00.000Z] "GET /orders/1 HTTP/1.1" 200 - 0 12 25 24 "-" "curl/8" "0f-1e" "shop.example" "10.0.0.3:80""#,
        25.0,
    ),
    (
        "istio",
        r#"[2026-01-31T12:00:00.000Z] "GET /orders/1 HTTP/1.1" 200 - via_upstream - "-" 0 12 25 24 "-" "curl/8" "0f-1e" "shop.example" "10.0.0.3:80" inbound|80|| 127.0.0.6:1 10.0.0.3:80 10.0.0.4:2 outbound_.80_._.web default"#,
        25.0,
    ),
    (
        r"%START_TIME(%s.%3f)% %REQ(:METHOD)% %REQ(X-PATH?:PATH)% %PROTOCOL% %RESPONSE_CODE% %DURATION%\n",
        "1769860800.000 GET /orders/1 HTTP/2 200 25",
        25.0,
    ),
];

fn line(template: &str) -> String {
    template.replace("{COMBINED}", COMBINED).replace("{HEAD}", HEAD)
}

#[test]
fn lines_of_many_servers_are_read_exactly() {
    for (written, template, value) in LINES {
        let (format, line) = (format(written), line(template));
        let row = read(&format, &line);
        let path = row.endpoint.split('?').next().unwrap();
        assert_eq!(path, "GET /orders/1", "{written}");
        assert_eq!(row.value.to_bits(), value.to_bits(), "{written}: {}", row.value);
        assert_eq!((row.status, row.timestamp.unwrap().to_string().as_str()), (Some(200), MOMENT), "{written}");
        // Programs that write a prefix: syslog, journald, kubectl, container runtimes.
        for prefix in [
            "Jan 31 12:00:00 web1 nginx[1234]: ",
            "[pod/web-abc/nginx] ",
            "2026-01-30T12:00:00.5Z stdout F ",
            "web_1  | ",
        ] {
            assert_eq!(read(&format, &format!("{prefix}{line}")), row, "{prefix} {written}");
        }
        let container =
            serde_json::json!({ "log": format!("{line}\n"), "stream": "stdout", "time": "2026-01-30T12:00:00Z" });
        let container = container.to_string();
        assert_eq!(read(&format, &container), row, "{container}");
    }
}

#[test]
fn users_hosts_and_requests_may_contain_the_marks_of_the_format() {
    let combined = format("combined $request_time");
    for line in [
        r#"203.0.113.9 - [203.0.113.9] - - [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 12 "-" "curl/8" 0.250"#,
        r#"203.0.113.9 - jo[e] [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 12 "-" "curl/8" 0.250"#,
        r#"203.0.113.9 - jo [e [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 12 "-" "curl/8" 0.250"#,
        r#"[2001:db8::1]:443 2001:db8::9 - - [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 12 "-" "curl/8" 0.250"#,
        r#"::1 - - [31/Jan/2026:12:00:00 +0000] "GET /orders/1 HTTP/1.1" 200 - "x \" [y] 1.0" "a \"b\" 9.999 \\" 0.250"#,
    ] {
        assert_read(&combined, line, "GET /orders/1", 250.0, MOMENT);
    }
    let quoted =
        r#"::1 - - [31/Jan/2026:12:00:00 +0000] "GET /a\" 200 1 \"-\" \"-\" 9.999 HTTP/1.1" 404 12 "-" "-" 0.250"#;
    assert_read(&combined, quoted, r#"GET /a" 200 1 "-" "-" 9.999"#, 250.0, MOMENT);
    let latin = b"::1 - - [31/Jan/2026:12:00:00 +0000] \"GET /caf\xe9 HTTP/1.1\" 200 1 \"-\" \"\xff\" 0.250";
    assert_eq!(combined.parse(latin).unwrap().candidate.endpoint, "GET /caf%E9");
    let haproxy = r#"haproxy[14]: 10.0.1.2:33317 [31/Jan/2026:13:00:00.250] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /orders/1 HTTP/1.1""#;
    let error = format("haproxy").parse(haproxy.as_bytes()).unwrap_err();
    assert!(error.message.contains("--utc-offset"), "{error}");
    let offset = format("haproxy").with_offset(Some("+01:00".parse().unwrap()));
    assert_read(&offset, haproxy, "GET /orders/1", 109.0, "2026-01-31T12:00:00.25Z");
}

#[test]
fn a_line_that_departs_from_the_format_is_refused_where_it_does() {
    for (written, template, field, words) in [
        ("combined $request_time", "{COMBINED}", "", "the line ends where ` ` is expected"),
        ("combined $request_time", "{COMBINED} 250", "value", "decimal point"),
        ("combined $request_time", "{COMBINED} -", "value", "did not measure"),
        ("combined $request_time", "{COMBINED} 0.250 0.100", "", "` 0.100` stands behind its last field"),
        ("combined $request_time", "{COMBINED} 1769860800.123", "value", "longer than 30 days"),
        ("combined $upstream_response_time", "{COMBINED} -", "value", "did not measure"),
        ("common %D", "{HEAD} 0.250 x", "", "stands behind"),
        ("common %T/%D", "{HEAD} 3/2126669", "value", "not the same time"),
        ("common %D", r#"::1 - - [31/Jan/2026:12:00:00 +0000] "\x16\x03\x01" 400 157 5"#, "endpoint", "GET /orders"),
        ("common %D", r#"::1 - - [31/Jan/2026:12:00:00 +0000] "-" 408 0 5"#, "endpoint", "`-`"),
        ("common %D", r#"::1 - - [32/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" 200 0 5"#, "timestamp", "32/Jan"),
        (
            "common %D",
            r#"::1 - - [31/Jan/2026:12:00:00 +0000] "GET / HTTP/1.1" abc 0 5"#,
            "",
            "`abc 0 5` stands where %>s is expected",
        ),
        ("common %D", "hello", "", "expected"),
        ("traefik", r#"{COMBINED} 162 "web@docker" "http://10.0.0.3:80" 22"#, "value", "unit"),
    ] {
        let error = format(written).parse(line(template).as_bytes()).unwrap_err();
        assert!(error.field == field && error.message.contains(words), "{written} {template}\n{error}");
    }
    for (written, words) in [
        ("combined", "no time of the request"),
        ("combinedio", "no time of the request"),
        ("$request $request_time", "no moment"),
        ("%t %D", "no request"),
        ("$remote_user$request $time_local $request_time", "nothing between them"),
        ("nonsense", "ingress-nginx"),
    ] {
        let error = written.parse::<LogFormat>().unwrap_err();
        assert!(error.to_string().contains(words), "{written}: {error}");
    }
}

#[test]
fn formats_are_detected_where_they_are_certain() {
    for (template, unit, written) in [
        ("{COMBINED} 0.250", None, "combined $request_time"),
        ("{HEAD} 0.250", None, "common $request_time"),
        (r#"{COMBINED} "0.250""#, None, r#"combined "$request_time""#),
        (r#"{COMBINED} "10.0.0.1" 0.250"#, None, r#"combined "$any" $request_time"#),
        (r#"{COMBINED} rt=0.250 urt="0.100, 0.2""#, None, r#"combined rt=$request_time urt="$any""#),
        (r"{COMBINED} request_time=0.250", None, "combined request_time=$request_time"),
        ("{HEAD} 2/2126669", None, "common $request_time_s/$request_time_us"),
        ("{COMBINED} 22ms", None, "combined $duration"),
        ("{COMBINED} 250", Some(TimeUnit::Milliseconds), "combined $request_time_ms"),
        ("{HEAD} 1500", Some(TimeUnit::Microseconds), "common $request_time_us"),
        (r#"{COMBINED} "12" 1500"#, Some(TimeUnit::Microseconds), r#"combined "$any" $request_time_us"#),
    ] {
        let found = detect(line(template).as_bytes(), unit).unwrap_or_else(|unclear| panic!("{template}: {unclear:?}"));
        assert_eq!(found, format(written), "{template}");
    }
    for (written, template, _) in LINES {
        if let Ok(found) = detect(line(template).as_bytes(), None) {
            assert_eq!(read(&found, &line(template)), read(&format(written), &line(template)), "{written}");
        }
    }
    for name in super::known::DETECTED {
        let (_, template, _) = LINES.iter().find(|(written, ..)| written == name).unwrap();
        assert_eq!(detect(line(template).as_bytes(), None).unwrap(), format(name));
    }
    // Lines that measured nothing or are none decide nothing.
    let mixed = format!("hello\n{COMBINED} -\n{COMBINED} 0.250\n{COMBINED} -\n");
    assert_eq!(detect(mixed.as_bytes(), None).unwrap(), format("combined $request_time"));
}

#[test]
fn what_can_mean_several_things_is_not_guessed_and_the_choices_work() {
    for (template, seen) in [
        ("{COMBINED}", "without the time"),
        ("{COMBINED} -", "without the time"),
        ("{HEAD}", "without the time"),
        ("{COMBINED} 1500", "`1500`"),
        ("{COMBINED} 2.50", "`2.50`"),
        ("{COMBINED} 0.250 0.100", "`0.250`, `0.100`"),
        ("{COMBINED} 89 0.250", "`89`, `0.250`"),
        ("{COMBINED} 512 1024", "combinedio"),
        ("{COMBINED} 512 1024 250000", "`250000`"),
        ("{COMBINED} 1769860800.123", "`1769860800.123`"),
        ("{COMBINED} 1769860800 250000", "`250000`"),
        ("{COMBINED} 3/2126669", "without the time"),
        ("{COMBINED} rt=250", "`rt=250`"),
        ("hello", "`hello` is no line"),
        ("#Fields: date time", "has no time of the request: add time-taken"),
        ("#Version: 1.0", "no line `#Fields: ...`"),
        ("", "no rows"),
        (
            r#"{"request_time":250,"remote_addr":"::1","time":"2026-01-31T12:00:00Z","request":"GET / HTTP/1.1"}"#,
            "request_time",
        ),
        (r#"{"ts":1769860800.5,"duration":3,"status":200,"request":{"method":"GET","uri":"/"}}"#, "duration"),
        (r#"{"took":5,"path":"/"}"#, "path, took"),
    ] {
        let line = line(template);
        let unclear = detect(line.as_bytes(), None).expect_err(template);
        assert!(unclear.seen.contains(seen), "{template}: {unclear:?}");
        for (meaning, options) in unclear.choices {
            match options.strip_prefix("--log-format '").and_then(|format| format.strip_suffix('\'')) {
                Some(written) => drop(format(written)),
                None => drop(options.strip_prefix("--map ").unwrap().parse::<JsonMap>().expect(&meaning)),
            }
        }
    }
    let several = format!("{COMBINED} 0.250\n{HEAD} 0.250\n");
    assert!(detect(several.as_bytes(), None).unwrap_err().seen.contains("row 2"));
}

#[test]
fn logs_of_the_w3c_name_their_fields() {
    let iis = "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Date: 2026-01-31 12:00:00\n\
               #Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status time-taken\n\
               2026-01-31 12:00:00 10.0.0.1 GET /orders/1 page=2 443 - 203.0.113.9 curl/8+(x) 200 250\n";
    let rows = |text: &str| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>();
    let found = detect(iis.as_bytes(), None).unwrap();
    assert_eq!(found.comment(), Some(b'#'));
    assert_read(&found, &rows(iis)[0], "GET /orders/1", 250.0, MOMENT);
    let elsewhere = found.with_offset(Some("+01:00".parse().unwrap()));
    assert_read(&elsewhere, &rows(iis)[0], "GET /orders/1", 250.0, "2026-01-31T11:00:00Z");
    let cloudfront = "#Version: 1.0\n#Fields: date time x-edge-location c-ip cs-method cs-uri-stem sc-status time-taken\n\
                      2026-01-31\t12:00:00\tFRA2\t203.0.113.9\tGET\t/caf%C3%A9\t200\t0.001\n";
    let found = detect(cloudfront.as_bytes(), None).unwrap();
    assert_read(&found, &rows(cloudfront)[0], "GET /caf%C3%A9", 1.0, MOMENT);
    let unknown = iis.replace("#Software: Microsoft Internet Information Services 10.0\n", "");
    assert!(detect(unknown.as_bytes(), None).unwrap_err().seen.contains("whole numbers"));
    let said = detect(unknown.as_bytes(), Some(TimeUnit::Seconds)).unwrap();
    assert_read(&said, &rows(iis)[0], "GET /orders/1", 250_000.0, MOMENT);
}

#[test]
fn logs_in_json_are_known_by_their_keys() {
    for (line, endpoint, value, moment) in [
        (
            r#"{"level":"info","ts":1769860800.5,"logger":"http.log.access","request":{"remote_ip":"::1","method":"GET","uri":"/orders/1?a","headers":{"A":["b"]}},"duration":0.25,"size":12,"status":200}"#,
            "GET /orders/1?a",
            250.0,
            "2026-01-31T12:00:00.5Z",
        ),
        (
            r#"{"ts":"2026-01-31T12:00:00.000Z","request":{"method":"GET","uri":"/orders/1"},"duration":"1.5ms","status":200}"#,
            "GET /orders/1",
            1.5,
            MOMENT,
        ),
        (
            r#"{"time":"2026-01-31T13:00:00+01:00","remote_addr":"::1","request_method":"GET","request_uri":"/orders/1","status":200,"request_time":0.250}"#,
            "GET /orders/1",
            250.0,
            MOMENT,
        ),
        (
            r#"{"time_local":"31/Jan/2026:13:00:00 +0100","remote_addr":"::1","request":"GET /orders/1 HTTP/1.1","status":"200","request_time":"0.001"}"#,
            "GET /orders/1",
            1.0,
            MOMENT,
        ),
        (
            r#"{"msec":"1769860800.500","remote_addr":"::1","method":"GET","uri":"/orders/1","request_time":"0.001"}"#,
            "GET /orders/1",
            1.0,
            "2026-01-31T12:00:00.5Z",
        ),
        (
            r#"{"DownstreamStatus":200,"Duration":22000000,"RequestMethod":"GET","RequestPath":"/orders/1","StartUTC":"2026-01-31T12:00:00Z","time":"2026-01-31T12:00:01Z"}"#,
            "GET /orders/1",
            22.0,
            MOMENT,
        ),
        (
            r#"{"start_time":"2026-01-31T12:00:00.000Z","method":"GET","path":"/orders/1","response_code":200,"response_flags":"-","duration":25}"#,
            "GET /orders/1",
            25.0,
            MOMENT,
        ),
        (
            r#"{"timestamp":"2026-01-31T12:00:00Z","httpRequest":{"requestMethod":"GET","requestUrl":"https://shop.example/orders/1","status":200,"latency":"0.250s"}}"#,
            "GET https://shop.example/orders/1",
            250.0,
            MOMENT,
        ),
    ] {
        let found = detect(line.as_bytes(), None).unwrap_or_else(|unclear| panic!("{line}: {unclear:?}"));
        assert_read(&found, line, endpoint, value, moment);
        assert_read(&found, &format!("2026-01-30T12:00:00Z stdout F {line}"), endpoint, value, moment);
        let container = serde_json::json!({ "log": line, "stream": "stderr" }).to_string();
        assert_eq!(detect(container.as_bytes(), None).unwrap(), found);
        assert_read(&found, &container, endpoint, value, moment);
        // What the import says is an option that reads the same.
        let description = found.description();
        let map = description.split('`').nth(1).unwrap().strip_prefix("--map ").unwrap();
        assert_read(&LogFormat::mapped(map.parse().unwrap()), line, endpoint, value, moment);
    }
    for name in ["caddy", "traefik-json", "istio-json", "google-cloud"] {
        format(name);
    }
}

/// A line with a few characters changed, removed, doubled or inserted.
fn altered() -> impl Strategy<Value = (&'static str, &'static str, f64, Vec<(usize, u8, char)>)> {
    let marks: Vec<char> = "\"[] .,:-/\\0129ems\t{}=%ä\u{0}".chars().collect();
    let change = (any::<prop::sample::Index>().prop_map(|index| index.index(10_000)), 0_u8..3, select(marks));
    (select(LINES), prop::collection::vec(change, 1..5))
        .prop_map(|((written, line, value), changes)| (written, line, value, changes))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Nothing is read as another time: an altered line is refused, unless the alteration is outside of the time, or within
    /// its own digits.
    #[test]
    fn altered_lines_are_refused_or_read_as_they_stand((written, template, _, changes) in altered()) {
        let mut characters: Vec<char> = line(template).chars().collect();
        for (at, kind, mark) in changes {
            let at = at % characters.len();
            match kind {
                0 => characters[at] = mark,
                1 => characters.insert(at, mark),
                _ => drop(characters.remove(at)),
            }
        }
        let altered: String = characters.into_iter().collect();
        let _ = detect(altered.as_bytes(), None);
        if let Ok(row) = format(written).parse(altered.as_bytes()) {
            let value = row.candidate.value;
            prop_assert!(value.is_finite() && value >= 0.0);
            prop_assert!(is_written(value, &altered), "{} is not in {}", value, altered);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_line_and_no_format_ends_the_program(text in "[%$ \"\\[\\]{}a-zA-Z0-9:_\\\\.,'/=-]{0,80}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = detect(&bytes, None);
        let _ = text.parse::<JsonMap>();
        let _ = text.parse::<super::UtcOffset>();
        if let Ok(format) = text.parse::<LogFormat>() {
            let _ = format.parse(&bytes);
            let _ = format.parse(text.as_bytes());
        }
        for (written, ..) in LINES {
            let _ = format(written).parse(&bytes);
        }
    }
}

/// True if a value in milliseconds stands in a line as a number of minutes, seconds, milliseconds or microseconds, or as a sum
/// of two or three of them: an altered `22ms` may be `22m` or `2m2ms`.
fn is_written(value: f64, line: &str) -> bool {
    let numbers = line.split(|character: char| !character.is_ascii_digit() && character != '.');
    let numbers = numbers.filter_map(|number| number.parse::<f64>().ok());
    let times: Vec<f64> =
        numbers.flat_map(|number| [60_000.0, 1_000.0, 1.0, 0.001].map(|unit| number * unit)).collect();
    let is_near = |sum: f64| (sum - value).abs() <= value.abs() * 1e-9;
    let with_others = |sum: f64| times.iter().any(|b| is_near(sum + b) || times.iter().any(|c| is_near(sum + b + c)));
    times.iter().any(|a| is_near(*a)) || times.iter().any(|a| with_others(*a))
}
