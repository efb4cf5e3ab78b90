# What is wrong with a dashboard, one finding on a line; true as the last line, and exit status 0, when nothing is.
def panels: [.panels[] | select(.type != "row")];
def overlap($a; $b):
    $a.x < $b.x + $b.w and $b.x < $a.x + $a.w and $a.y < $b.y + $b.h and $b.y < $a.y + $a.h;
[
    (if (.uid // "") | startswith("barnabas-") | not then "uid: begins with barnabas-" else empty end),
    (if .schemaVersion < 39 then "schemaVersion: 39 is that of Grafana 11" else empty end),
    (if .templating.list[0] | .name == "datasource" and .type == "datasource" and .query == "prometheus" | not
        then "the first variable chooses the Prometheus" else empty end),
    (if [.panels[].id] | length != (unique | length) then "two panels have one id" else empty end),
    (panels | .[] | select(.datasource.uid != "${datasource}" or any(.targets[]; .datasource.uid != "${datasource}"))
        | "\(.title): a data source that is not the variable"),
    (panels | .[] | select((.description // "") == "" or (.title // "") == "") | "panel \(.id): no title or no description"),
    (panels | .[] | select((.targets | length) == 0 or any(.targets[]; (.expr // "") == "")) | "\(.title): no query"),
    (panels | .[] | select(.gridPos.x + .gridPos.w > 24) | "\(.title): wider than the page"),
    ([.panels[] | {title, gridPos}] as $all | range($all | length) as $i | range($i + 1; $all | length) as $j
        | select(overlap($all[$i].gridPos; $all[$j].gridPos)) | "\($all[$i].title) lies over \($all[$j].title)"),
    ([.templating.list[].name] as $known | [panels[].targets[].expr | scan("\\$([a-z]+)")[0]] | unique[]
        | select(IN($known[]) | not) | "no variable $\(.)")
]
| .[], (length == 0)
