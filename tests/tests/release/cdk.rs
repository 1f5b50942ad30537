//! Others' tools.

use super::*;

/// The app of the docs, as it stands there.
pub(crate) async fn the_cdk_takes_the_template_as_it_is(p: &Released) -> Outcome {
    let node = project(".tools/browser/bin/node");
    if !node.exists() {
        return Err(failed("Node and the CDK are not installed: run `make test-release`"));
    }
    let docs = std::fs::read_to_string(project("docs/RELEASES.md"))?;
    let app = block(&docs, "js", "CfnInclude").ok_or("the app")?;
    let app = app.replace("redshift-loader-0.2.0", &p.folder.display().to_string());
    let (head, rest) = app.split_once("  parameters: {").ok_or("the parameters")?;
    let (_, tail) = rest.split_once("\n  },").ok_or("their end")?;
    let ours: Value = serde_json::from_slice(&std::fs::read(p.folder.join("template.json"))?)?;

    assert_eq!(synthesised(p, &node, "whole", &format!("{head}{tail}")).await?, ours);

    let made = synthesised(p, &node, "given", &app).await?;
    for given in ["ArtifactBucket", "WorkgroupName", "WorkgroupId", "Database", "SecretArn", "GlueJobName"] {
        assert!(made["Parameters"].get(given).is_none(), "{given}");
        assert!(!made.to_string().contains(&json!({"Ref": given}).to_string()), "{given}");
    }
    Ok(())
}

/// What an app makes of it, without what the CDK adds to every template for its own bucket.
async fn synthesised(p: &Released, node: &Path, name: &str, app: &str) -> Any<Value> {
    let folder = p.stack.dir.path().join(name);
    std::fs::create_dir(&folder)?;
    std::fs::write(folder.join("app.mjs"), app)?;
    std::os::unix::fs::symlink(project(".tools/browser/node_modules"), folder.join("node_modules"))?;
    let mut command = Command::new(node);
    said(command.arg("app.mjs").current_dir(&folder).env("CDK_OUTDIR", folder.join("out"))).await?;
    let mut made: Value = serde_json::from_slice(&std::fs::read(folder.join("out/Loader.template.json"))?)?;
    for (section, added) in [("Parameters", "BootstrapVersion"), ("Rules", "CheckBootstrapVersion")] {
        made[section].as_object_mut().and_then(|section| section.remove(added)).ok_or(added)?;
    }
    Ok(made)
}
